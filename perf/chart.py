"""The chart that the README shows: what each peer takes for what weir takes, as an SVG drawn by hand."""

import math
from xml.sax.saxutils import escape

# What is drawn, and what it is called there; the rest is in perf/README.md.
FIGURES = {
    "spawn_one": "spawn and join",
    "spawn_burst": "spawn, bursts of 1,000",
    "spawn_million": "spawn, a million at once",
    "yield": "yield",
    "ping_pong": "ping-pong, unbuffered",
    "ring_1000": "ring of 1,000",
    "spsc_128": "SPSC, channel of 128",
    "spsc_1": "SPSC, channel of 1",
    "mpmc_4x4": "MPMC 4x4, channel of 128",
    "fan_in_100": "fan-in of 100",
    "select_4": "select of 4, unbuffered",
    "select_4_buffered": "select of 4, buffered",
    "select_4_default": "select of 4, default",
    "mutex_uncontended": "mutex, uncontended",
    "mutex_8": "mutex, 8 fibers",
    "rwmutex_8": "RWMutex 90/10, 8 fibers",
    "waitgroup_8": "WaitGroup, 8 fibers",
    "cond_broadcast": "Cond broadcast to 100",
    "skynet": "skynet, a million leaves",
    "sieve": "prime sieve",
    "fib_27": "fib, a fiber a call",
    "parked_million.create": "a million parked: create",
    "parked_million.wake": "a million parked: wake",
    "parked_million.rss": "a million parked: memory",
    "timers_100k": "100,000 sleepers",
    "timer": "timer, arm and stop",
    "after_loop": "after() in a loop",
    "wake_latency.p99": "wake-up latency, p99",
    "thread_send": "send from an OS thread",
    "tcp_echo_64": "TCP echo, 64 connections",
    "http_hello": "HTTP hello",
    "orders": "order service",
    "panic_recover_1": "panic and recover",
}
COLOURS = ("#2f6fb0", "#8fbce6")  # of the bars: few workers, many workers
MARKS = {"boost": ("circle", "#c0392b"), "tokio": ("diamond", "#b7791f"), "may": ("triangle", "#5b3fa0")}
LABELS, PLOT, ROW, BAR, TOP = 190, 560, 22, 7, 60
LOW, HIGH = 1 / 32, 64


def x_of(ratio):
    """Where on the logarithmic axis; what lies outside ends at its edge."""
    share = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LABELS + PLOT * share


def text(x, y, words, anchor="start", size=12, colour="#222", weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}" font-weight="{weight}">{escape(words)}</text>'


def mark(key, x, y):
    shape, colour = MARKS[key]
    style = f'fill="{colour}" stroke="#fff" stroke-width="0.8"'
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {style}/>'
    corners = {"diamond": ((0, -5), (5, 0), (0, 5), (-5, 0)), "triangle": ((0, -5), (5, 4), (-5, 4))}[shape]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" {style}/>'


def bar(ratio, y, colour):
    """From 1 to the ratio: to the right where weir is ahead; the number beyond its end."""
    start, end = sorted((x_of(1), x_of(ratio)))
    number = f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"
    label = text(end + 3, y + BAR - 0.5, number, size=8) if ratio >= 1 else text(start - 3, y + BAR - 0.5, f"{ratio:.2f}", "end", 8)
    return f'<rect x="{start:.1f}" y="{y:.1f}" width="{max(end - start, 0.5):.1f}" height="{BAR}" fill="{colour}"/>{label}'


def axis(height):
    parts = []
    for power in range(round(math.log2(LOW)), round(math.log2(HIGH)) + 1):
        x, name = x_of(2.0**power), f"{2**power}" if power >= 0 else f"1/{2**-power}"
        colour = "#444" if power == 0 else "#ddd"
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{height - 8}" stroke="{colour}"/>')
        parts.append(text(x, TOP - 9, name, "middle", 10, "#555"))
    return parts


def legend(result, procs):
    parts = [text(LABELS - 180, 18, "The peer's time or memory divided by weir's; to the right of 1 weir is ahead", size=13, weight="bold")]
    x = LABELS - 180
    for colour, count in zip(COLOURS, procs):
        parts.append(f'<rect x="{x}" y="27" width="14" height="{BAR}" fill="{colour}"/>')
        parts.append(text(x + 19, 35, f"Go, {count} worker" + ("s" if count > 1 else ""), size=11))
        x += 100
    for key in MARKS:
        if key in result["titles"]:
            parts += [mark(key, x + 6, 31), text(x + 16, 35, result["titles"][key], size=11)]
            x += 30 + 7 * len(result["titles"][key])
    return parts


def row_parts(title, rows, procs, y):
    parts = [text(LABELS - 8, y + 13, title, "end")]
    for i, (colour, count) in enumerate(zip(COLOURS, procs)):
        ratios = rows.get(count, {})
        top = y + 2 + i * (BAR + 2)
        if "go" in ratios:
            parts.append(bar(ratios["go"], top, colour))
        parts += [mark(key, x_of(ratios[key]), top + BAR / 2) for key in MARKS if key in ratios]
    return parts


def draw(result):
    """The SVG: a row a figure, in it a bar for each of two worker counts, and a mark for each other peer."""
    all_procs = sorted({row["procs"] for row in result["rows"]})
    procs = list(dict.fromkeys((all_procs[0], all_procs[-1])))
    by_name = {}
    for row in result["rows"]:
        by_name.setdefault(row["name"], {})[row["procs"]] = row["ratios"]
    drawn = [name for name in FIGURES if any(by_name.get(name, {}).values())]
    width, height = LABELS + PLOT + 30, TOP + ROW * len(drawn) + 10
    parts = [*legend(result, procs), *axis(height)]
    for i, name in enumerate(drawn):
        parts += row_parts(FIGURES[name], by_name[name], procs, TOP + i * ROW)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="Helvetica, Arial, sans-serif">\n<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
