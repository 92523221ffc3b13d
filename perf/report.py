"""The figures as text: progress lines, the Markdown tables, the README's section."""

import limits
import standing
from figures import ratio, spread, with_ratio

BEGIN = "<!-- figures: written by perf/run --update-readme -->"
END = "<!-- end of figures -->"


def progress_header():
    return f"{'workload':<28} {'workers':>7}  {'weir median (min-max)':>26}  {'Go median (min-max)':>28}  {'unit':<6}  Go/weir  others: median (ratio to weir)"


def progress_line(row, chosen):
    weir, go = spread(row["sides"].get("weir")), spread(row["sides"].get("go"))
    others = [f"{side.title} {with_ratio(row, side.key)}" for side in chosen if side.key not in ("weir", "go") and side.key in row["sides"]]
    return f"{row['name']:<28} {row['procs']:>7}  {weir:>26}  {go:>28}  {row['unit']:<6}  {ratio(row, 'go'):>7}  {', '.join(others)}".rstrip()


def markdown(result):
    """A table for each worker count, the line that says what it was measured on, where weir stands, and the machine's limits."""
    parts = [table(result, procs) for procs in sorted({row["procs"] for row in result["rows"]})]
    notes = ["No figure: " + note.splitlines()[0] for note in result["notes"]]
    missing = [f"Left out: {key}: {why}" for key, why in result["missing"].items()]
    return "\n\n".join([*parts, provenance(result), *notes, *missing, standing.markdown(result), limits.markdown(result)])


def table(result, procs):
    titles = result["titles"]
    others = [key for key in titles if key not in ("weir", "go")]
    heads = ["workload", "unit", "weir", "Go", "Go/weir", *(titles[key] for key in others)]
    lines = [f"### {workers(result, procs)}", "", "| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for row in result["rows"]:
        if row["procs"] != procs:
            continue
        lead = f"**{ratio(row, 'go')}**" if "go" in row["ratios"] else ""
        cells = [row["name"], row["unit"], spread(row["sides"].get("weir")), spread(row["sides"].get("go")), lead]
        lines.append("| " + " | ".join(cells + [with_ratio(row, key) for key in others]) + " |")
    return "\n".join(lines)


def workers(result, procs):
    text = f"{procs} worker" + ("s" if procs > 1 else "")
    return text + (", which are all cores" if procs == result["machine"]["cpus"] else "")


def provenance(result):
    m, b = result["machine"], result["build"]
    what = "One round" if result["rounds"] == 1 else f"Median (min-max) of {result['rounds']} rounds; behind a peer's median its ratio to weir"
    modified = " with local changes" if b["modified"] else ""
    versions = "".join(f"; {version}" for key, version in b["versions"].items() if key != "weir")
    return (
        f"{what}, {result['time']}, {result['seconds'] / 60:.0f} minutes. {m['cpu']}, {m['cpus']} CPUs, {m['memory']}, {m['os']}, "
        f"kernel {m['kernel']} {m['arch']}. weir {b['versions']['weir']}, commit {b['commit']}{modified}; {b['compiler']}, `{b['flags']}`{versions}."
    )


def update_readme(path, result):
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"perf/run: {path} has no place for the figures ({BEGIN} ... {END})")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{markdown(result)}\n\n{END}{after}")
