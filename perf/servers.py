"""Workloads that are servers, put under load by wrk: requests a second become nanoseconds a request, beside them the latency."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = 64
UNITS = {"us": 1e3, "ms": 1e6, "s": 1e9}
SCRIPTS = {"orders": HERE.parent / "examples" / "orders" / "load.lua"}


class ServerFailed(Exception):
    """A server that did not start, or whose answers were wrong."""


def has_load_generator():
    return shutil.which("wrk") is not None


def address_of(server):
    """What the server says it listens on."""
    for line in server.stdout:
        found = re.search(r"listening on (http://[^, \n]*)", line)
        if found:
            return found[1]
    raise ServerFailed("it ended before it listened")


def post(url, order):
    try:
        urllib.request.urlopen(urllib.request.Request(f"{url}/orders", order), timeout=20).close()
    except urllib.error.HTTPError:
        pass  # the poison order


def load(name, url, seconds):
    """What wrk prints; ServerFailed where an answer was wrong or missing."""
    if name == "orders":  # the script expects one order to be there; and the first panic of a process loads its symbols
        post(url, b'{"item": "tea", "quantity": 2}')
        post(url, b'{"item": "tea", "quantity": -1}')
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url]
    if name in SCRIPTS:
        command = [*command[:-1], "-s", str(SCRIPTS[name]), url, "--", str(seconds)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False).stdout
    if "Requests/sec" not in said or "Non-2xx" in said and name not in SCRIPTS or "Socket errors" in said or "verdict=bad" in said:
        raise ServerFailed(f"wrong or missing answers: {said[-1000:]}")
    return said


def run_once(name, command, procs, seconds, environment):
    """One server under load: its figures, {name: (value, unit)}."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [word.format(procs=procs, scratch=scratch) for word in command]
        env = {**environment, "WEIR_MAXPROCS": str(procs)}
        server = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            url = address_of(server)
            said = load(name, url + ("" if name in SCRIPTS else "/"), seconds)
        finally:
            server.kill()
            server.wait()
    rate = float(re.search(r"Requests/sec: *([\d.]+)", said)[1])
    value, unit = re.search(r"^ +99% +([\d.]+)(us|ms|s)", said, re.MULTILINE).groups()
    return {name: (1e9 / rate, "ns"), f"{name}.p99": (float(value) * UNITS[unit], "ns")}
