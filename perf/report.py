"""The figures as text: progress lines, the Markdown table, the README's table."""

BEGIN = "<!-- figures: written by perf/run --update-readme -->"
END = "<!-- end of figures -->"


def number(value):
    """Three digits that matter."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(side):
    """Median (min-max), or nothing when that side does not have the workload."""
    if not side:
        return ""
    if len(side["samples"]) == 1:
        return number(side["median"])
    return f"{number(side['median'])} ({number(side['min'])}-{number(side['max'])})"


def ratio(row):
    return f"{row['ratio']:.2f}" if row and row["ratio"] is not None else ""


def progress_header():
    return f"{'workload':<28} {'workers':>7}  {'weir median (min-max)':>26}  {'Go median (min-max)':>28}  {'unit':<6}  Go/weir"


def progress_line(row):
    weir, go = spread(row.get("weir")), spread(row.get("go"))
    return f"{row['name']:<28} {row['procs']:>7}  {weir:>26}  {go:>28}  {row['unit']:<6}  {ratio(row):>7}"


def markdown(result):
    """The table, one line a figure, and the line that says what it was measured on."""
    procs = sorted({row["procs"] for row in result["rows"]})
    by_key = {(row["name"], row["procs"]): row for row in result["rows"]}
    names = dict.fromkeys((row["name"], row["unit"]) for row in result["rows"])
    heads = [f"weir, {workers(p)} | Go, {workers(p)} | Go/weir" for p in procs]
    lines = [f"| workload | unit | {' | '.join(heads)} |", "|---|---|" + "---:|---:|---:|" * len(procs)]
    for name, unit in names:
        cells = []
        for p in procs:
            row = by_key.get((name, p), {"ratio": None})
            cells += [spread(row.get("weir")), spread(row.get("go")), f"**{ratio(row)}**" if ratio(row) else ""]
        lines.append(f"| {name} | {unit} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\n" + provenance(result)


def workers(procs):
    return f"{procs} worker" + ("s" if procs > 1 else "")


def provenance(result):
    m, b = result["machine"], result["build"]
    what = "One round" if result["rounds"] == 1 else f"Median (min-max) of {result['rounds']} rounds"
    modified = " with local changes" if b["modified"] else ""
    return (
        f"{what}, {result['time']}. {m['cpu']}, {m['cpus']} CPUs, {m['memory']}, {m['os']}, "
        f"kernel {m['kernel']} {m['arch']}. weir {b['weir']}, commit {b['commit']}{modified}; {b['compiler']}, `{b['flags']}`; {b['go']}."
    )


def update_readme(path, result):
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"perf/run: {path} has no place for the figures ({BEGIN} ... {END})")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{markdown(result)}\n\n{END}{after}")
