"""What the figures were measured on and with: CPU, kernel, compilers, flags, versions, commit."""

import json
import os
import pathlib
import platform
import re
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def output_of(*command):
    """What a command prints, or "unknown"."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def field_of(path, key):
    """The value of the first `key ... : value` or `key=value` line of a file."""
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, value = line.partition(":" if ":" in line else "=")
        if name.strip() == key:
            return value.strip().strip('"')
    return "unknown"


def field_of_header(header, macro):
    """The value of a macro in one of the system's headers."""
    path = pathlib.Path("/usr/include") / header
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split()[-1].strip('"') for line in lines if line.startswith(f"#define {macro} ")), "unknown")


def describe():
    return {
        "cpu": field_of("/proc/cpuinfo", "model name"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory": field_of("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "os": field_of("/etc/os-release", "PRETTY_NAME"),
        "arch": platform.machine(),
    }


def compile_command(build_dir):
    """The compiler and the flags that perf/cpp/main.cpp was built with, without paths."""
    commands = json.loads((build_dir / "compile_commands.json").read_text())
    command = next(c["command"] for c in commands if c["file"].endswith("perf/cpp/main.cpp"))
    words = shlex.split(command)
    compiler = words[1] if words[0].endswith("ccache") else words[0]
    flags = [w for w in words if w.startswith(("-O", "-f", "-m", "-std", "-D", "-g", "-p")) and not w.startswith("-fdiagnostics")]
    name = re.sub(r"^\S*[cg]\+\+\S* ", "g++ ", output_of(compiler, "--version").splitlines()[0])  # it goes by several names
    return name, " ".join(dict.fromkeys(flags))


def version_of_weir(build_dir):
    return json.loads((build_dir / "meson-info" / "intro-projectinfo.json").read_text())["version"]


def describe_build(build_dir, sides):
    compiler, flags = compile_command(build_dir)
    return {
        "commit": output_of("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"),
        "modified": output_of("git", "-C", str(ROOT), "status", "--porcelain", "-uno", "--", ".", ":!perf/results", ":!perf/README.md") != "",
        "compiler": compiler,
        "flags": flags,
        "versions": {side.key: side.version for side in sides},
    }
