"""Weir and its peers: how each one's program is found or built, and what version it is of."""

import dataclasses
import functools
import os
import pathlib
import re
import shutil
import subprocess

import machine

HERE = pathlib.Path(__file__).resolve().parent
BUILD_TIMEOUT_S = 900


class Missing(Exception):
    """Why a peer is not there."""


@dataclasses.dataclass
class Side:
    key: str  # in result files
    title: str
    program: pathlib.Path
    version: str
    servers: dict = dataclasses.field(default_factory=dict)  # workload -> command that serves it
    lacks: dict = dataclasses.field(default_factory=dict)  # workload -> why this side has none

    @functools.cached_property
    def workloads(self):
        return subprocess.run([str(self.program), "-list"], capture_output=True, text=True, check=True).stdout.split() + list(self.servers)


def build(command, **options):
    """Runs a compiler; Missing with the last line of what it says when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False, **options)
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} took over {BUILD_TIMEOUT_S} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["failed without a word"]
        first = next((line for line in lines if "error" in line), lines[-1])
        raise Missing(f"{' '.join(command[:2])}: {first.strip()}")


def first_program(*names):
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    return None


def weir(build_dir):
    program = build_dir / "perf" / "weir_perf"
    if not program.exists():
        raise SystemExit(f"perf/run: {program} is not built")
    servers = {
        "http_hello": [str(build_dir / "perf" / "weir_hello"), "-procs", "{procs}"],
        "orders": [str(build_dir / "examples" / "orders"), "--port", "0", "--db", "{scratch}/orders.db"],
    }
    return Side("weir", "weir", program, machine.version_of_weir(build_dir), existing(servers))


def existing(servers):
    return {name: command for name, command in servers.items() if pathlib.Path(command[0]).exists()}


def build_go(compiler, version, source, out, *options):
    """Builds the module in `source`. Its file is a copy with the installed Go's own version in it: Go switches newer behaviour on by that line."""
    out.mkdir(parents=True, exist_ok=True)
    language = re.search(r"go(\d+\.\d+)", version)[1]
    (out / "go.mod").write_text(re.sub(r"^go .*", f"go {language}", (source / "go.mod").read_text(), flags=re.MULTILINE))
    shutil.copy(source / "go.sum", out / "go.sum")
    env = {**os.environ, "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    build([compiler, "build", "-buildvcs=false", f"-modfile={out / 'go.mod'}", *options, "-o", f"{out}/", "./..."], cwd=source, env=env)


def go(build_dir):
    compiler = first_program("go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go")
    if compiler is None:
        raise Missing("no Go in the path; Debian's is golang-go")
    version = machine.output_of(compiler, "version")
    out = build_dir / "perf" / "go"
    build_go(compiler, version, HERE / "go", out)
    side = Side("go", "Go", out / "perf", version, {"http_hello": [str(out / "hello"), "-procs", "{procs}"]})
    try:  # a module of its own, for its driver is the only thing here that needs cgo; with Debian's SQLite, as ours
        build_go(compiler, version, HERE / "go" / "orders", out / "orders", "-tags", "libsqlite3")
        side.servers["orders"] = [str(out / "orders" / "orders"), "-procs", "{procs}", "-db", "{scratch}/orders.db"]
    except Missing as why:
        side.lacks["orders"] = str(why)
    return side


def boost(build_dir):
    program = build_dir / "perf" / "boost_perf"
    if not program.exists():
        raise Missing("libboost-fiber-dev is not installed")
    return Side("boost", "Boost.Fiber", program, "Boost " + machine.field_of_header("boost/version.hpp", "BOOST_LIB_VERSION"))


def rust(key):
    def side(build_dir):
        cargo = first_program("cargo", os.path.expanduser("~/.cargo/bin/cargo"))
        if cargo is None:
            raise Missing("no cargo in the path")
        manifest = HERE / "rust" / "Cargo.toml"
        target = build_dir / "perf" / "rust"
        build([cargo, "build", "--quiet", "--release", "--locked", "--manifest-path", str(manifest), "--target-dir", str(target), "--bin", key])
        version = re.search(rf'name = "{key}"\nversion = "(.*)"', (HERE / "rust" / "Cargo.lock").read_text())[1]
        return Side(key, key, target / "release" / key, f"{key} {version} with {machine.output_of(cargo, '--version')}")

    return side


FINDERS = {"weir": weir, "go": go, "boost": boost, "tokio": rust("tokio"), "may": rust("may")}


def find(build_dir, wanted):
    """The sides that can run, weir first, and what is left out: {what: why}."""
    sides, missing = [], {}
    for key, finder in FINDERS.items():
        if key not in wanted:
            continue
        try:
            side = finder(build_dir)
            sides.append(side)
            missing.update({f"{workload} on {side.title}": why for workload, why in side.lacks.items()})
        except Missing as why:
            missing[key] = str(why)
    return sides, missing
