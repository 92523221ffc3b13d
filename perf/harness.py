"""Runs every workload of weir_perf and of its Go twin in turn, and reports medians, spread and ratios. Called by perf/run."""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

import machine
import report

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results"
SIDES = ("weir", "go")
TIMEOUT_S = 300
QUICK_SCALE = 0.001


class RunFailed(Exception):
    """A program that crashed, hung, or printed a wrong result."""


def clean_environment():
    """The environment without what would tune one side: both run with their defaults."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "GO"))}


def run_once(program, workload, procs, scale):
    """One process, one workload: its figures, {name: (value, unit)}."""
    command = [str(program), "-procs", str(procs), "-scale", str(scale), workload]
    try:
        done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{' '.join(command)}: no result within {TIMEOUT_S} s") from None
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [f"{line['name']}: {line['check']}" for line in lines if line["check"] != "ok"]
    if wrong or done.returncode != 0 or not lines:
        detail = "; ".join(wrong) or done.stderr.strip()[-2000:] or "no output"
        raise RunFailed(f"{' '.join(command)}: exit status {done.returncode}: {detail}")
    return {line["name"]: (line["value"], line["unit"]) for line in lines}


def names_of(program):
    return subprocess.run([str(program), "-list"], capture_output=True, text=True, check=True).stdout.split()


def measure(programs, workload, procs, options):
    """All rounds of one workload, the sides taking turns; {figure: row}, and what failed."""
    samples = {}
    failures = {}
    sides = [side for side in SIDES if workload in names_of(programs[side])]
    for round_number in range(-options.warm_up, options.rounds):
        for side in sides:
            if side in failures:
                continue
            try:
                figures = run_once(programs[side], workload, procs, options.scale)
            except RunFailed as failure:
                failures[side] = str(failure)
                continue
            if round_number < 0:
                continue
            for name, (value, unit) in figures.items():
                samples.setdefault((name, unit), {}).setdefault(side, []).append(value)
    rows = [make_row(name, unit, procs, by_side) for (name, unit), by_side in samples.items()]
    return rows, list(failures.values())


def make_row(name, unit, procs, by_side):
    row = {"name": name, "unit": unit, "procs": procs}
    for side, values in by_side.items():
        row[side] = {"median": statistics.median(values), "min": min(values), "max": max(values), "samples": values}
    row["ratio"] = None
    if "weir" in row and "go" in row and row["weir"]["median"] > 0:
        row["ratio"] = row["go"]["median"] / row["weir"]["median"]
    return row


def measure_all(programs, workloads, options):
    rows, failures = [], []
    print(report.progress_header(), flush=True)
    for workload in workloads:
        for procs in options.procs:
            new_rows, new_failures = measure(programs, workload, procs, options)
            for row in new_rows:
                print(report.progress_line(row), flush=True)
            for failure in new_failures:
                print(f"FAILED {failure}", flush=True)
            rows += new_rows
            failures += new_failures
    return rows, failures


def save(result, is_full):
    """Writes the result under its time; a full run becomes latest.json as well. Returns the path."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1) + "\n"
    path = RESULTS / (result["time"].replace(":", "") + ".json")
    path.write_text(text)
    if is_full:
        (RESULTS / "latest.json").write_text(text)
    return path


def parse_procs(text):
    procs = [int(p) for p in text.split(",")]
    if not procs or min(procs) < 1:
        raise argparse.ArgumentTypeError("worker counts must be 1 or more")
    return procs


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="perf/run", description="Runs the benchmarks of weir and of Go in turn and prints both. Above 1 in the ratio column: weir is ahead."
    )
    parser.add_argument("workloads", nargs="*", metavar="NAME", help="only these workloads (default: all)")
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds of each side, after one warm-up round (default: 7)")
    parser.add_argument("--procs", type=parse_procs, default=[1, 2], metavar="N,N", help="worker counts (default: 1,2)")
    parser.add_argument("--scale", type=float, default=1, help="factor on every workload's size (default: 1)")
    parser.add_argument("--quick", action="store_true", help="smoke test: one round of tiny sizes; only the checks count")
    parser.add_argument("--at-least", type=float, metavar="RATIO", help="exit with status 1 when a ratio Go/weir is below this")
    parser.add_argument("--update-readme", action="store_true", help="put the figures into perf/README.md")
    parser.add_argument("--from", dest="source", metavar="FILE", help="run nothing; report this result file")
    parser.add_argument("--build-dir", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--go", default="go", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.warm_up = 1
    if options.quick:
        options.rounds, options.warm_up, options.scale = 1, 0, QUICK_SCALE
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds must be at least 1 and --scale above 0")
    return options


def run_benchmarks(options):
    programs = {"weir": options.build_dir / "perf" / "weir_perf", "go": options.build_dir / "perf-go"}
    known = names_of(programs["weir"])
    unknown = [name for name in options.workloads if name not in known]
    if unknown:
        sys.exit(f"perf/run: no workload {', '.join(unknown)}; there are: {' '.join(known)}")
    load = os.getloadavg()[0]
    if load > 0.5 and not options.quick:
        print(f"perf/run: the machine is busy (load {load:.1f}): the figures will be noisy", file=sys.stderr)

    started = datetime.datetime.now(datetime.timezone.utc)
    rows, failures = measure_all(programs, options.workloads or known, options)
    result = {
        "time": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "rounds": options.rounds,
        "scale": options.scale,
        "quick": options.quick,
        "load_before": load,
        "machine": machine.describe(),
        "build": machine.describe_build(options.build_dir, options.go),
        "rows": rows,
        "failures": failures,
    }
    is_full = not (options.quick or options.workloads or failures) and options.scale == 1
    print(f"\nwritten to {save(result, is_full)}")
    return result


def main():
    options = parse_arguments()
    result = json.loads(pathlib.Path(options.source).read_text()) if options.source else run_benchmarks(options)
    print()
    print(report.markdown(result))
    if options.update_readme:
        report.update_readme(HERE / "README.md", result)
    status = 1 if result["failures"] else 0
    for row in result["rows"]:
        if options.at_least and not result["quick"] and row["ratio"] is not None and row["ratio"] < options.at_least:
            print(f"below {options.at_least}: {row['name']} at {row['procs']} workers: {row['ratio']:.2f}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
