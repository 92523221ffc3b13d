"""Where weir stands: each figure beside the best of all the peers that were run, those first in which weir is behind."""

import sides
from figures import number

HEADING = "### Beside the best peer"
AHEAD = "ahead of every peer"


def markdown(result):
    peers = [title for key, title in result["titles"].items() if key != "weir"]
    absent = [key for key in sides.FINDERS if key not in result["titles"]]
    if not peers:
        return f"{HEADING}\n\nNo peer was run ({', '.join(absent)}): there is nothing to compare weir with."
    rows = [row for row in result["rows"] if "weir" in row["sides"]]
    compared = [row for row in rows if row["ratios"]]
    behind = [row for row in compared if worst_ratio(row) < 1]
    lines = [
        HEADING,
        "",
        f"Peers that were run: {', '.join(peers)}; not run: {', '.join(absent) or 'none'}. weir is ahead of every peer in {len(compared) - len(behind)} of {len(compared)} figures, behind in {len(behind)}.",
        "",
        "| workload | workers | unit | weir | best peer | its figure | best/weir | |",
        "|---|---:|---|---:|---|---:|---:|---|",
    ]
    lines += [line(row, result["titles"]) for row in sorted(compared, key=worst_ratio)]
    alone = dict.fromkeys(row["name"] for row in rows if len(row["sides"]) == 1)
    if alone:
        lines += ["", f"No peer ran {', '.join(alone)}."]
    return "\n".join(lines)


def worst_ratio(row):
    """The best peer's figure by weir's."""
    return min(row["ratios"].values())


def line(row, titles):
    best = min(row["ratios"], key=row["ratios"].get)
    ahead = sorted((key for key, value in row["ratios"].items() if value < 1), key=row["ratios"].get)
    verdict = f"behind {', '.join(titles[key] for key in ahead)}" if ahead else AHEAD
    weir, its = (number(row["sides"][key]["median"]) for key in ("weir", best))
    return f"| {row['name']} | {row['procs']} | {row['unit']} | {weir} | {titles[best]} | {its} | **{worst_ratio(row):.2f}** | {verdict} |"
