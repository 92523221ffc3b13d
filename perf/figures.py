"""One figure as text."""


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


def ratio(row, key):
    return f"{row['ratios'][key]:.2f}" if key in row["ratios"] else ""


def with_ratio(row, key):
    """The median and, in brackets, its ratio to weir's."""
    if key not in row["sides"]:
        return ""
    return number(row["sides"][key]["median"]) + (f" ({number(row['ratios'][key])})" if key in row["ratios"] else "")
