"""What the kernel and, where they can be had, the processor's counters say of one run of each program: `perf/run --counters`."""

import shutil
import subprocess

EVENTS = ["task-clock", "context-switches", "cpu-migrations", "page-faults", "cycles", "instructions", "cache-misses", "branch-misses"]


def of_run(side, workload, procs, scale, environment):
    """{event: count} of one run, as perf stat has it; an event that the machine does not count is not in it."""
    command = ["perf", "stat", "-x", ",", "-e", ",".join(EVENTS), str(side.program), "-procs", str(procs), "-scale", str(scale), workload]
    done = subprocess.run(command, env={**environment, "LC_ALL": "C"}, capture_output=True, text=True, timeout=300, check=False)
    fields = (line.split(",") for line in done.stderr.splitlines() if line.count(",") > 3)
    return {field[2].split(":")[0]: float(field[0]) for field in fields if not field[0].startswith("<")}


def show(sides, workloads, options, environment):
    """Prints a line for each program, workload and worker count. Returns the exit status."""
    if shutil.which("perf") is None:
        print("perf/run: no perf here (Debian: linux-perf)")
        return 1
    print(f"{'workload':<24} {'workers':>7} {'':<12}" + "".join(f"{event:>18}" for event in EVENTS))
    for workload in workloads:
        for procs in options.procs:
            for side in sides:
                if workload in side.workloads and workload not in side.servers:
                    counts = of_run(side, workload, procs, options.scale, environment)
                    cells = "".join(f"{counts[event]:>18,.0f}" if event in counts else f"{'-':>18}" for event in EVENTS)
                    print(f"{workload:<24} {procs:>7} {side.title:<12}{cells}", flush=True)
    return 0
