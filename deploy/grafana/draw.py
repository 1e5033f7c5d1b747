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

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pages import DASHBOARDS
from panels import SELECTORS, Dashboard, Panel

COLUMNS = 24
N_LINES = 8
"""Most series of one panel that the legend names."""

UNITS = {
    "percentunit": "share",
    "reqps": "requests/s",
    "wps": "records/s",
    "short": "",
    "s": "s",
    "bytes": "bytes",
}
Series = tuple[str, list[float], list[float]]
"""The legend, the times in seconds since the start, and the values."""


def draw(page: Dashboard, url: str, start: float, end: float) -> "plt.Figure":
    """Return a figure with all panels of a dashboard."""
    heights = [2 if panels[0].kind == "stat" else 4 for _, panels in page.rows]
    figure = plt.figure(figsize=(16, sum(heights) + 1.2))
    grid = figure.add_gridspec(len(page.rows), COLUMNS, height_ratios=heights, hspace=0.5, wspace=6)
    for row, (_, panels) in enumerate(page.rows):
        left = 0
        for panel in panels:
            axes = figure.add_subplot(grid[row, left : left + panel.width])
            _draw_panel(axes, panel, url, start, end)
            left += panel.width
    told = "drawn by deploy/grafana/draw.py from the queries of the dashboard; not Grafana's screen"
    figure.suptitle(f"{page.title}: {told}", fontsize=11)
    return figure


def _draw_panel(axes: Axes, panel: Panel, url: str, start: float, end: float) -> None:
    axes.set_title("\n".join(textwrap.wrap(panel.title, panel.width * 4)), fontsize=9)
    found = [
        series
        for legend, expression in panel.queries
        for series in _series(url, legend, expression, start, end)
    ]
    if panel.kind == "timeseries":
        _draw_lines(axes, panel, found)
        return
    axes.axis("off")
    if panel.kind == "stat":
        value = found[0][2][-1] if found else math.nan
        axes.text(0.5, 0.4, _text(value, panel.unit), ha="center", va="center", fontsize=20)
        return
    rows = [
        (textwrap.shorten(name, 16 * panel.width // 3, placeholder=" ..."), f"{values[-1]:.4g}")
        for name, _, values in found
    ]
    axes.text(
        0, 1, "\n".join("  ".join(one) for one in rows) or "no data", va="top", fontsize=7, family="monospace"
    )


def _draw_lines(axes: Axes, panel: Panel, found: Sequence[Series]) -> None:
    for name, times, values in found:
        axes.plot(times, values, linewidth=1.1, label=name or "value")
    for limit, color in ((panel.warn_at, "orange"), (panel.alarm_at, "red")):
        highest = max((value for _, _, values in found for value in values), default=0)
        if limit is not None and limit <= 2 * highest:
            axes.axhline(limit, color=color, linestyle="--", linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(UNITS[panel.unit], fontsize=7)
    axes.set_xlabel("seconds", fontsize=7)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles[:N_LINES], names[:N_LINES], fontsize=6, loc="best", framealpha=0.6)


def _text(value: float, unit: str) -> str:
    if math.isnan(value):
        return "no data"
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s" and value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.4g}" + (" s" if unit == "s" else "")


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
