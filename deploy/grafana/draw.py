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
from collections.abc import Sequence
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
N_LINES = 6
"""Most series of one panel that the legend names."""

STAT_IN, CHART_IN = 1.5, 3.2
"""Heights of panels in inches."""

PAGE, CARD, EDGE, TEXT, FAINT = "#111217", "#181b1f", "#2c3235", "#d8d9da", "#8e8e8e"
GOOD, WARN, ALARM = "#73bf69", "#ff9830", "#f2495c"
LINES = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0")
SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
Series = tuple[str, list[float], list[float]]
"""The legend, the times in seconds since the start, and the values."""


def draw(page: Dashboard, url: str, start: float, end: float) -> "plt.Figure":
    """Return a figure with all panels of a dashboard, placed as Grafana places them."""
    rows = [panels for _, panels in page.rows]
    heights = [STAT_IN if panels[0].kind == "stat" else CHART_IN for panels in rows]
    figure = plt.figure(figsize=(16, sum(heights) + 0.8), facecolor=PAGE)
    grid = figure.add_gridspec(
        len(rows), COLUMNS, height_ratios=heights, hspace=0.42, wspace=2.4, left=0.035, right=0.985
    )
    inch = 1 / figure.get_figheight()
    figure.subplots_adjust(top=1 - 0.75 * inch, bottom=0.6 * inch)
    for row, panels in enumerate(rows):
        left = 0
        for panel in panels:
            axes = figure.add_subplot(grid[row, left : left + panel.width])
            _draw_panel(axes, panel, url, start, end)
            left += panel.width
    told = "drawn by deploy/grafana/draw.py from the queries of the dashboard; not Grafana's screen"
    figure.suptitle(f"{page.title}: {told}", fontsize=11, color=TEXT)
    return figure


def _draw_panel(axes: Axes, panel: Panel, url: str, start: float, end: float) -> None:
    title = textwrap.shorten(panel.title, panel.width * 7, placeholder=" ...")
    axes.set_title(title, fontsize=9, loc="left", color=TEXT)
    axes.set_facecolor(CARD)
    for spine in axes.spines.values():
        spine.set_color(EDGE)
    found = [
        series
        for legend, expression in panel.queries
        for series in _series(url, legend, expression, start, end)
    ]
    {"timeseries": _draw_lines, "stat": _draw_number, "table": _draw_table}[panel.kind](axes, panel, found)


def _draw_number(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    value = found[0][2][-1] if found else math.nan
    axes.text(
        0.5, 0.5, text(value, panel.unit), ha="center", va="center", fontsize=22, color=color(panel, value)
    )


def _draw_table(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    rows = [
        f"{textwrap.shorten(name, 6 * panel.width, placeholder=' ...')}  {text(values[-1], panel.unit)}"
        for name, _, values in found
    ]
    told = "\n".join(rows) or "no data"
    axes.text(0.01, 0.96, told, va="top", fontsize=7, family="monospace", color=TEXT, clip_on=True)


def _draw_lines(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    for number, (name, times, values) in enumerate(found):
        last = f"{name or 'value'}  {text(values[-1], panel.unit)}"
        minutes = [second / 60 for second in times]
        axes.plot(minutes, values, linewidth=1.2, label=last, color=LINES[number % len(LINES)])
    highest = max((value for _, _, values in found for value in values), default=0)
    for limit, tone in ((panel.warn_at, WARN), (panel.alarm_at, ALARM)):
        if limit is not None and limit <= 2 * highest:
            axes.axhline(limit, color=tone, linestyle="--", linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: text(value, panel.unit))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} min")
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
    axes.tick_params(labelsize=7, colors=FAINT, length=0)
    axes.grid(color=EDGE, linewidth=0.6)
    handles, names = axes.get_legend_handles_labels()
    if not handles:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color=FAINT)
        return
    axes.legend(
        handles[:N_LINES],
        names[:N_LINES],
        fontsize=6.5,
        loc="upper left",
        bbox_to_anchor=(0, -0.09),
        ncols=2,
        frameon=False,
        labelcolor=TEXT,
        borderpad=0,
        handlelength=1,
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
    if unit == "s":
        return _duration(value)
    if unit == "bytes":
        power = min(int(math.log(value, 1024)), len(SIZES) - 1) if value >= 1 else 0
        return f"{value / 1024**power:.3g} {SIZES[power]}"
    return f"{value:.3g}" + ("/s" if unit in ("reqps", "wps") else "")


def _duration(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds * 1e6:.3g} us" if seconds else "0 s"


def _series(url: str, legend: str, expression: str, start: float, end: float) -> list[Series]:
    """Return the series of one query over the time."""
    step = max((end - start) / 120, 1)
    parameters = {"query": plain(expression), "start": start, "end": end, "step": step}
    with urllib.request.urlopen(
        f"{url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}", timeout=30
    ) as answer:
        result = json.load(answer)["data"]["result"]
    return [
        (
            _legend(legend, one["metric"]),
            [float(at) - start for at, _ in one["values"]],
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
        figure.savefig(given.out / f"{page.uid}.png", dpi=80, bbox_inches="tight")
        plt.close(figure)


if __name__ == "__main__":
    main()
