"""The machine's own limits: measured by weir_limits, and what each workload comes to in them."""

import json
import statistics
import subprocess

ROUNDS = 5
QUICK_SCALE, FULL_SCALE = "1", "1000"

# What weir_limits measures, and how.
STEPS = {
    "switch": "a bare fcontext switch between two stacks, nothing else done",
    "lock": "a locked compare-and-exchange on a cache line that the core has",
    "line": "a cache line to the other core: half a round of two pinned threads that answer each other",
    "fault": "the first touch of a page of fresh anonymous memory",
    "syscall": "getppid(2)",
    "futex": "a sleeping OS thread woken by another: half a round of two that wake each other",
    "tcp": "64 bytes written to and read from a TCP connection on the loopback interface by one thread",
}

# The least that a workload takes in those steps; of one worker, for none has to share there. An operation on a channel or lock is at least
# one locked instruction, since another thread might come.
LIMITS = {
    "spawn_one": "2 switch + 2 lock",
    "spawn_burst": "1 switch",
    "spawn_million": "1 switch",
    "yield": "1 switch",
    "ping_pong": "2 switch + 4 lock",
    "ring_1000": "1 switch + 2 lock",
    "spsc_128": "2 lock",
    "spsc_1": "1 switch + 2 lock",
    "mpmc_4x4": "2 lock",
    "mpmc_4x4_1": "1 switch + 2 lock",
    "fan_in_100": "1 switch + 2 lock",
    "range": "2 lock",
    "select_2": "1 switch + 2 lock",
    "select_4": "1 switch + 2 lock",
    "select_8": "1 switch + 2 lock",
    "select_4_buffered": "2 lock",
    "mutex_uncontended": "2 lock",
    "mutex_2": "2 lock",
    "mutex_8": "2 lock",
    "mutex_64": "2 lock",
    "rwmutex_read": "2 lock",
    "waitgroup": "2 lock",
    "cond_broadcast": "1 switch + 2 lock",
    "semaphore": "2 lock",
    "parked_million.create": "1 fault + 1 switch",
    "parked_million.wake": "1 switch",
    "wake_latency.p50": "1 switch + 2 lock",
    "thread_send": "2 lock + 1 line",
    "tcp_echo_64": "2 tcp + 2 switch",
}


def measure(build_dir, quick):
    """{step: {"ns", "cycles"}}, the medians of some runs; empty where the program is not built."""
    program = build_dir / "perf" / "weir_limits"
    if not program.exists():
        return {}
    rounds = []
    for _ in range(1 if quick else ROUNDS):
        out = subprocess.run([str(program), QUICK_SCALE if quick else FULL_SCALE], capture_output=True, text=True, check=True, timeout=120).stdout
        rounds.append({line["name"]: line for line in map(json.loads, out.splitlines())})
    return {name: {key: statistics.median(r[name][key] for r in rounds) for key in ("ns", "cycles")} for name in rounds[0]}


def in_ns(expression, steps):
    """What "2 switch + 4 lock" comes to; None where a step was not measured."""
    terms = [term.split() for term in expression.split(" + ")]
    if any(name not in steps for _, name in terms):
        return None
    return sum(int(count) * steps[name]["ns"] for count, name in terms)


def markdown(result):
    steps = result["limits"]
    lines = ["### Limits of the machine", "", "| step | ns | cycles | how it was found |", "|---|---:|---:|---|"]
    lines += [f"| {name} | {steps[name]['ns']:,.1f} | {steps[name]['cycles']:,.0f} | {how} |" for name, how in STEPS.items() if name in steps]
    lines += ["", "| workload, 1 worker | limit | ns | weir, ns | times the limit |", "|---|---|---:|---:|---:|"]
    for row in result["rows"]:
        limit = in_ns(LIMITS[row["name"]], steps) if row["name"] in LIMITS and row["procs"] == 1 else None
        if limit and "weir" in row["sides"]:
            median = row["sides"]["weir"]["median"]
            lines.append(f"| {row['name']} | {LIMITS[row['name']]} | {limit:,.1f} | {median:,.1f} | {median / limit:.1f} |")
    return "\n".join(lines)
