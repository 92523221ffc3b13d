"""Instruction counts of the basic steps, by callgrind: they hardly vary, so that a change of over 5 % is the code's.

    perf/run --instructions            # counts and compares with results/instructions.json
    perf/run --instructions --update   # and keeps the new counts there

Counted in the build that the tests use, so that CI compares the same. The exit status is 1 after a change of over 5 %, 77 where nothing can be compared: no
valgrind here, or the counts on file are another compiler's.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import machine

FILE = pathlib.Path(__file__).resolve().parent / "results" / "instructions.json"
TOLERANCE = 0.05
SKIPPED = 77
# One worker thread: when another one joins depends on the time, which goes slowly here, and what is locked and how depends on that.
ENVIRONMENT = {**os.environ, "WEIR_MAXTHREADS": "1"}
class CountFailed(Exception):
    """A program that crashed or printed a wrong result."""


# Workload: what it stands for, and the number of operations. Each is also run with a third of them: the difference has neither the start
# of the program nor its end in it.
STEPS = {
    "yield": ("switch", 30_000),
    "ping_pong": ("send and receive, unbuffered, there and back", 30_000),
    "spsc_128": ("send and receive, buffered", 30_000),
    "range": ("send and receive, nobody else there", 30_000),
    "select_4": ("select of 4, unbuffered", 30_000),
    "select_4_buffered": ("select of 4, buffered", 30_000),
    "select_4_default": ("select of 4 with a default", 30_000),
    "spawn_one": ("spawn and join", 30_000),
    "spawn_burst": ("spawn and join, bursts of 1,000", 30_000),
    "mutex_uncontended": ("lock and unlock", 600_000),
    "rwmutex_read": ("read lock and unlock", 600_000),
    "waitgroup": ("add, done, wait", 300_000),
    "timer": ("timer, arm and stop", 30_000),
    "defer": ("defer", 300_000),
}


def by_thread(program, workload, operations):
    """Instructions of each of the program's threads."""
    with tempfile.TemporaryDirectory() as scratch:
        out = f"--callgrind-out-file={scratch}/out"
        command = ["valgrind", "--tool=callgrind", "--separate-threads=yes", out, str(program), "-ops", str(operations), workload]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0 or '"check":"ok"' not in done.stdout:
            raise CountFailed(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr[-2000:]}")
        texts = [file.read_text() for file in pathlib.Path(scratch).glob("out-*")]
    return {re.search(r"^thread: (\d+)", text, re.MULTILINE)[1]: int(re.search(r"^totals: (\d+)", text, re.MULTILINE)[1]) for text in texts}


def count(program, workload):
    """Instructions an operation: of the thread that did the work, so that what the others do beside it does not count."""
    operations = STEPS[workload][1]
    few, many = by_thread(program, workload, operations // 3), by_thread(program, workload, operations)
    return round(max(many[thread] - few.get(thread, 0) for thread in many) / (operations - operations // 3), 1)


def built_with(build_dir):
    compiler, flags = machine.compile_command(build_dir)
    return {"compiler": compiler, "flags": flags, "arch": machine.describe()["arch"]}


def compare(kept, counts):
    """Prints each count beside the kept one; the names of those that changed too much."""
    changed = []
    print(f"{'':<20} {'instructions':>12} {'on file':>10} {'change':>8}")
    for name, now in counts.items():
        before = kept.get(name)
        change = (now - before) / before if before else 0
        if abs(change) > TOLERANCE:
            changed.append(name)
        print(f"{name:<20} {now:>12.1f} {before or 0:>10.1f} {change:>+8.1%}  {STEPS[name][0]}")
    return changed


def main():
    parser = argparse.ArgumentParser(prog="perf/run --instructions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--update", action="store_true", help="keep the new counts")
    parser.add_argument("--build-dir", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("no valgrind here: nothing counted")
        return SKIPPED
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"built_with": None, "counts": {}}
    built = built_with(options.build_dir)
    if not options.update and built != kept["built_with"]:
        print(f"nothing to compare with: the counts on file are from {kept['built_with']}, this is {built}")
        return SKIPPED
    try:
        counts = {name: count(options.build_dir / "perf" / "weir_perf", name) for name in STEPS}
    except CountFailed as failure:
        print(failure)
        return 1
    changed = compare(kept["counts"], counts)
    if options.update:
        FILE.write_text(json.dumps({"built_with": built, "counts": counts}, indent=1) + "\n")
        return 0
    if changed:
        print(f"changed by over {TOLERANCE:.0%}: {', '.join(changed)}. If that is meant: perf/run --instructions --update")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
