"""Draw the panels of the dashboards with matplotlib, from the same queries: a preview without Grafana.

Example: python deploy/grafana/draw.py http://localhost:9090 /tmp/pictures
"""

import argparse
import json
import math
import sys
import textwrap
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.ticker

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pages import DASHBOARDS
from panels import SELECTORS, Dashboard, Panel

COLUMNS = 24
WIDTH_IN, STAT_IN, CHART_IN = 14.0, 0.9, 2.1
"""Width of the picture, and heights of panels, in inches."""

TOP_IN, ROW_IN, BELOW_IN = 0.55, 0.6, 0.85
"""Room for the title of the picture, above a row for its titles, and below charts for their legend."""

WIDE, N_NAMED = 8, (4, 6)
"""Panels of so many columns have two columns in their legend. Most names of a narrow and of a wide one."""

PAGE, CARD, EDGE, TEXT, FAINT = "#111217", "#181b1f", "#2c3235", "#d8d9da", "#8e8e8e"
GOOD, WARN, ALARM = "#73bf69", "#ff9830", "#f2495c"
LINES = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0")
SIZES = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "B"))
TIMES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "us"))


@dataclass(frozen=True)
class Series:
    """One series of a query."""

    name: str
    """From the legend of the query."""

    labels: Mapping[str, str]
    minutes: list[float]
    """Since the start of the picture."""

    values: list[float]


def draw(page: Dashboard, url: str, start: float, end: float) -> "plt.Figure":
    """Return a figure with all panels of a dashboard, placed as Grafana places them."""
    heights = [STAT_IN if panels[0].kind == "stat" else CHART_IN for _, panels in page.rows]
    below = [0.1 if panels[0].kind == "stat" else BELOW_IN for _, panels in page.rows]
    height = TOP_IN + sum(heights) + sum(below) + ROW_IN * len(heights)
    figure = plt.figure(figsize=(WIDTH_IN, height), facecolor=PAGE)
    top = height - TOP_IN
    for (title, panels), of_row, under in zip(page.rows, heights, below, strict=True):
        top -= ROW_IN
        figure.text(0.008, (top + 0.37) / height, title, fontsize=10.5, color=FAINT)
        left = 0
        for panel in panels:
            place = (_x(left) + 0.035, (top - of_row) / height, _x(panel.width) - 0.045, of_row / height)
            _draw_panel(figure.add_axes(place), panel, url, start, end)
            left += panel.width
        top -= of_row + under
    told = "drawn by deploy/grafana/draw.py from the queries of the dashboard; not Grafana's screen"
    figure.suptitle(f"{page.title}: {told}", fontsize=11, color=TEXT, y=1 - 0.25 / height)
    return figure


def _x(columns: int) -> float:
    return columns / COLUMNS


def _draw_panel(axes: Axes, panel: Panel, url: str, start: float, end: float) -> None:
    title = textwrap.shorten(panel.title, 8 * panel.width, placeholder=" ...")
    axes.set_title(title, fontsize=9, loc="left", color=TEXT)
    axes.set_facecolor(CARD)
    for spine in axes.spines.values():
        spine.set_color(EDGE)
    found = [
        series
        for legend, expression in panel.queries
        for series in _series(url, legend, expression, start, end)
    ]
    if panel.kind == "timeseries":
        _draw_lines(axes, panel, found, (end - start) / 60)
        return
    axes.set_xticks([])
    axes.set_yticks([])
    {"stat": _draw_number, "table": _draw_table}[panel.kind](axes, panel, found)


def _draw_number(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    value = found[0].values[-1] if found else math.nan
    axes.text(
        0.5, 0.47, text(value, panel.unit), ha="center", va="center", fontsize=21, color=color(panel, value)
    )


def _draw_table(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    """Draw a column for each label, and one for the value; series that have ended are left out."""
    newest = max((one.minutes[-1] for one in found), default=0)
    rows = [
        (*one.labels.values(), text(one.values[-1], panel.unit)) for one in found if one.minutes[-1] == newest
    ]
    lines = [(*found[0].labels, "value"), *rows] if rows else [("no data",)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = int(9.2 * panel.width) - 10 - sum(widths) - 2 * len(widths)
    widest = widths.index(max(widths))
    widths[widest] = max(widths[widest] + min(room, 0), len(lines[0][widest]))  # it is cut at its left
    told = "\n".join("  ".join(map(_cell, line, widths)) for line in lines)
    axes.text(0.01, 0.95, told, va="top", fontsize=7.5, family="monospace", color=TEXT, clip_on=True)


def _cell(value: str, width: int) -> str:
    return value.ljust(width) if len(value) <= width else ".." + value[len(value) - width + 2 :]


def _draw_lines(axes: Axes, panel: Panel, found: Sequence[Series], minutes: float) -> None:
    for number, one in enumerate(found):
        name = textwrap.shorten(one.name or "value", 32, placeholder=" ..")
        last = f"{name}  {text(one.values[-1], panel.unit)}"
        axes.plot(one.minutes, one.values, linewidth=1.3, label=last, color=LINES[number % len(LINES)])
    highest = max((value for one in found for value in one.values if not math.isnan(value)), default=0)
    for limit, tone in ((panel.warn_at, WARN), (panel.alarm_at, ALARM)):
        if limit is not None and limit <= 2 * highest:
            axes.axhline(limit, color=tone, linestyle="--", linewidth=0.8)
            highest = max(highest, limit)
    axes.set_ylim(0, 1.08 * highest or (0.1 if panel.unit == "percentunit" else 1.0))
    axes.set_xlim(0, minutes)
    _draw_scales(axes, panel)
    if found:
        _draw_legend(axes, panel, found)
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color=FAINT)


def _draw_scales(axes: Axes, panel: Panel) -> None:
    highest = axes.get_ylim()[1]
    size, locator = _size(highest, panel.unit), mpl.ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    ticks = [size * float(tick) for tick in locator.tick_values(0, highest / size)]
    axes.set_yticks([tick for tick in ticks if 0 <= tick <= highest])
    axes.yaxis.set_major_formatter(lambda value, _: text(value, panel.unit))
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(2 + panel.width // 3, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} min")
    axes.tick_params(labelsize=7.5, colors=FAINT, length=0)
    axes.grid(color=EDGE, linewidth=0.6)


def _draw_legend(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    """Name the series with the highest values; say how many others there are."""
    columns = 2 if panel.width >= WIDE else 1
    handles, names = axes.get_legend_handles_labels()
    n_named = N_NAMED[columns - 1]
    order = sorted(range(len(found)), key=lambda at: -max(found[at].values))
    shown = sorted(order[: n_named if len(found) <= n_named else n_named - 1])
    handles, names = [handles[at] for at in shown], [names[at] for at in shown]
    if n_others := len(found) - len(shown):
        handles.append(axes.plot([], [], alpha=0)[0])
        names.append(f"and {n_others} more")
    axes.legend(
        handles,
        names,
        fontsize=7,
        loc="upper left",
        bbox_to_anchor=(0, -0.1),
        ncols=columns,
        frameon=False,
        labelcolor=TEXT,
        borderpad=0,
        handlelength=1,
        labelspacing=0.3,
    )


def color(panel: Panel, value: float) -> str:
    """Return the colour of a number beside the limits of its panel."""
    if panel.warn_at is None or math.isnan(value):
        return TEXT if math.isnan(value) else GOOD
    if panel.falls:
        return ALARM if value < panel.warn_at else GOOD
    if panel.alarm_at is not None and value >= panel.alarm_at:
        return ALARM
    return WARN if value >= panel.warn_at else GOOD


def text(value: float, unit: str) -> str:
    """Return a number in the unit of its panel, as a reader says it."""
    if math.isnan(value):
        return "no data"
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit in ("s", "bytes"):
        size = _size(value, unit)
        return f"{value / size:.3g} {dict(_sizes(unit))[size]}"
    short = f"{value / 1e6:.3g} M" if value >= 1e6 else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return short + ("/s" if unit in ("reqps", "wps") else "")


def _size(value: float, unit: str) -> float:
    """Return the largest size of a unit that a value reaches, such as 60 for minutes; else 1."""
    return next((size for size, _ in _sizes(unit) if abs(value) >= size), 1.0)


def _sizes(unit: str) -> Sequence[tuple[float, str]]:
    return {"s": TIMES, "bytes": SIZES}.get(unit, ())


def _series(url: str, legend: str, expression: str, start: float, end: float) -> list[Series]:
    """Return the series of one query over the time."""
    step = max((end - start) / 120, 1)
    parameters = {"query": plain(expression), "start": start, "end": end, "step": step}
    with urllib.request.urlopen(
        f"{url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}", timeout=30
    ) as answer:
        result = json.load(answer)["data"]["result"]
    return [
        Series(
            _legend(legend, one["metric"]),
            {name: value for name, value in one["metric"].items() if name != "__name__"},
            [(float(at) - start) / 60 for at, _ in one["values"]],
            [float(value) if abs(float(value)) != math.inf else math.nan for _, value in one["values"]],
        )
        for one in result
    ]


def _legend(legend: str, labels: dict[str, str]) -> str:
    if not legend:
        return " ".join(f"{name}={value}" for name, value in labels.items() if name != "__name__")
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return legend


def plain(expression: str) -> str:
    """Return an expression for all values of the variables."""
    for short, selectors in SELECTORS.items():
        expression = expression.replace(short, selectors)
    for name, value in (("$__rate_interval", "20s"), ("$prefix", ".*"), ("$job", ".*"), ("$instance", ".*")):
        expression = expression.replace(name, value)
    return expression


def main() -> None:
    """Draw all dashboards."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="address of Prometheus")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument(
        "--start", type=float, default=time.time() - 3600, help="seconds since 1970; default: an hour ago"
    )
    parser.add_argument("--end", type=float, default=time.time(), help="seconds since 1970; default: now")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for page in DASHBOARDS:
        figure = draw(page, given.url, given.start, given.end)
        figure.savefig(given.out / f"{page.uid}.png", dpi=100)
        plt.close(figure)


if __name__ == "__main__":
    main()
