"""Runs every workload on weir and on each peer in turn, and reports medians, spread and ratios. Called by perf/run."""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import chart
import counters
import limits
import machine
import report
import servers
import sides

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results"
TIMEOUT_S = 300
QUICK_SCALE = 0.001
WRK_SECONDS = 2
# The peers that serve for orientation do not get to hold up the whole: one that is slow has fewer rounds, one that hangs has no figure.
PEER_TIMEOUT_S = 20
PEER_SLOW_S = 2
PEER_SLOW_ROUNDS = 3
# A million fibers are made for each round, which takes most of its time.
FEW_ROUNDS = {"shape_yield": 3, "idle_million": 3}


class RunFailed(Exception):
    """A program that crashed, hung, or printed a wrong result."""


def is_judged(side):
    """Weir and Go: what they get wrong is a failure of the run."""
    return side.key in ("weir", "go")


def clean_environment():
    """The environment without what would tune one side: all run with their defaults."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "GO", "TOKIO_"))}


def run_program(side, workload, procs, scale):
    """One process, one workload: its figures, {name: (value, unit)}."""
    command = [str(side.program), "-procs", str(procs), "-scale", str(scale), workload]
    limit = TIMEOUT_S if is_judged(side) else PEER_TIMEOUT_S
    try:
        done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{' '.join(command)}: no result within {limit} s") from None
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [f"{line['name']}: {line['check']}" for line in lines if line["check"] != "ok"]
    if wrong or done.returncode != 0 or not lines:
        detail = "; ".join(wrong) or done.stderr.strip()[-2000:] or "no output"
        raise RunFailed(f"{' '.join(command)}: exit status {done.returncode}: {detail}")
    return {line["name"]: (line["value"], line["unit"]) for line in lines}


def run_once(side, workload, procs, options):
    if workload not in side.servers:
        return run_program(side, workload, procs, options.scale)
    try:
        return servers.run_once(workload, side.servers[workload], procs, WRK_SECONDS, clean_environment())
    except servers.ServerFailed as failure:
        raise RunFailed(f"{side.title}, {workload} at {procs}: {failure}") from None


def measure(chosen, workload, procs, options):
    """All rounds of one workload, the sides taking turns: its rows, and what failed, [(side, why)]."""
    samples, failures = {}, []
    rounds = min(options.rounds, FEW_ROUNDS.get(workload, options.rounds))
    rounds_of = {side.key: rounds for side in chosen if workload in side.workloads}
    for round_number in range(-options.warm_up, rounds):
        for side in chosen:
            if round_number >= rounds_of.get(side.key, -options.warm_up):
                continue
            begun = time.monotonic()
            try:
                figures = run_once(side, workload, procs, options)
            except RunFailed as failure:
                failures.append((side, str(failure)))
                del rounds_of[side.key]
                continue
            if not is_judged(side) and time.monotonic() - begun > PEER_SLOW_S:
                rounds_of[side.key] = min(rounds, PEER_SLOW_ROUNDS)
            if round_number < 0:
                continue
            for name, (value, unit) in figures.items():
                samples.setdefault((name, unit), {}).setdefault(side.key, []).append(value)
    return [make_row(name, unit, procs, by_side) for (name, unit), by_side in samples.items()], failures


def make_row(name, unit, procs, by_side):
    """One figure: each side's samples, and the ratio of each peer to weir."""
    row = {"name": name, "unit": unit, "procs": procs, "sides": {}, "ratios": {}}
    for key, values in by_side.items():
        row["sides"][key] = {"median": statistics.median(values), "min": min(values), "max": max(values), "samples": values}
    weir = row["sides"].get("weir", {"median": 0})["median"]
    if weir > 0:
        row["ratios"] = {key: side["median"] / weir for key, side in row["sides"].items() if key != "weir"}
    return row


def measure_all(chosen, workloads, options):
    """Rows, failures of weir and Go, and the peers' shortcomings."""
    rows, failures, notes = [], [], []
    print(report.progress_header(), flush=True)
    for workload in workloads:
        for procs in options.procs:
            new_rows, new_failures = measure(chosen, workload, procs, options)
            for row in new_rows:
                print(report.progress_line(row, chosen), flush=True)
            for side, why in new_failures:
                print(f"{'FAILED' if is_judged(side) else 'no figure'} {why}", flush=True)
                (failures if is_judged(side) else notes).append(why)
            rows += new_rows
    return rows, failures, notes


def save(result, is_full):
    """Writes the result under its time; a full run becomes latest.json as well."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1) + "\n"
    path = RESULTS / (result["time"].replace(":", "") + ".json")
    path.write_text(text)
    if is_full:
        (RESULTS / "latest.json").write_text(text)
    print(f"\nwritten to {path}")


def default_procs():
    """1, 2 and all cores, each once."""
    return sorted({1, 2, len(os.sched_getaffinity(0))})


def parse_procs(text):
    procs = [int(p) for p in text.split(",")]
    if not procs or min(procs) < 1:
        raise argparse.ArgumentTypeError("worker counts must be 1 or more")
    return procs


def parse_sides(text):
    keys = ["weir", *text.split(",")]
    unknown = [key for key in keys if key not in sides.FINDERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no peer {', '.join(unknown)}; there are: {' '.join(sides.FINDERS)}")
    return keys


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="perf/run", description="Runs the benchmarks of weir and of its peers in turn and prints all. Above 1 in the ratio columns: weir is ahead."
    )
    parser.add_argument("workloads", nargs="*", metavar="NAME", help="only these workloads (default: all)")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds of each side, after one warm-up round (default: 7)")
    parser.add_argument("--procs", type=parse_procs, default=default_procs(), metavar="N,N", help="worker counts (default: 1, 2 and all cores)")
    parser.add_argument("--peers", type=parse_sides, default=list(sides.FINDERS), metavar="NAME,NAME", help="beside weir (default: go,boost,tokio,may)")
    parser.add_argument("--scale", type=float, default=1, help="factor on every workload's size (default: 1)")
    parser.add_argument("--quick", action="store_true", help="smoke test: one round of tiny sizes; only the checks count")
    parser.add_argument("--at-least", type=float, metavar="RATIO", help="exit with status 1 when a ratio Go/weir is below this")
    parser.add_argument("--update-readme", action="store_true", help="put the figures into perf/README.md and draw the chart")
    parser.add_argument("--counters", action="store_true", help="one run of each under perf stat in place of the timings; needs linux-perf")
    parser.add_argument("--from", dest="source", metavar="FILE", help="run nothing; report this result file")
    parser.add_argument("--build-dir", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.warm_up = 1
    options.build_dir = options.build_dir and options.build_dir.resolve()
    if options.quick:
        options.rounds, options.warm_up, options.scale = 1, 0, QUICK_SCALE
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds must be at least 1 and --scale above 0")
    return options


def choose(chosen, options):
    """The workloads to run, in weir's order."""
    known = chosen[0].workloads
    unknown = [name for name in options.workloads if name not in known]
    if unknown:
        sys.exit(f"perf/run: no workload {', '.join(unknown)}; there are: {' '.join(known)}")
    wanted = options.workloads or known
    if servers.has_load_generator():
        return wanted
    print("left out for want of wrk: " + " ".join(name for name in wanted if name in chosen[0].servers))
    return [name for name in wanted if name not in chosen[0].servers]


def run_benchmarks(options):
    chosen, missing = sides.find(options.build_dir, options.peers)
    for key, why in missing.items():
        print(f"left out: {key}: {why}")
    workloads = choose(chosen, options)
    if len(os.sched_getaffinity(0)) == 2 and 2 in options.procs:
        print("all cores are 2 here: the figures of 2 workers are those of all cores")
    load = os.getloadavg()[0]
    if load > 0.5 and not options.quick:
        print(f"perf/run: the machine is busy (load {load:.1f}): the figures will be noisy", file=sys.stderr)

    started = datetime.datetime.now(datetime.timezone.utc)
    rows, failures, notes = measure_all(chosen, workloads, options)
    result = {
        "time": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round((datetime.datetime.now(datetime.timezone.utc) - started).total_seconds()),
        "rounds": options.rounds,
        "scale": options.scale,
        "quick": options.quick,
        "load_before": load,
        "machine": machine.describe(),
        "build": machine.describe_build(options.build_dir, chosen),
        "titles": {side.key: side.title for side in chosen},
        "missing": missing,
        "limits": limits.measure(options.build_dir, options.quick),
        "rows": rows,
        "failures": failures,
        "notes": notes,
    }
    if not options.quick:
        save(result, is_full=not (options.workloads or failures) and options.scale == 1)
    return result


def count_events(options):
    chosen, _ = sides.find(options.build_dir, options.peers)
    return counters.show(chosen, choose(chosen, options), options, clean_environment())


def main():
    options = parse_arguments()
    if options.counters:
        return count_events(options)
    result = json.loads(pathlib.Path(options.source).read_text()) if options.source else run_benchmarks(options)
    print()
    print(report.markdown(result))
    if options.update_readme:
        report.update_readme(HERE / "README.md", result)
        (RESULTS / "chart.svg").write_text(chart.draw(result))
    status = 1 if result["failures"] else 0
    for row in result["rows"]:
        if options.at_least and not result["quick"] and row["ratios"].get("go", options.at_least) < options.at_least:
            print(f"below {options.at_least}: {row['name']} at {row['procs']} workers: {row['ratios']['go']:.2f}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
