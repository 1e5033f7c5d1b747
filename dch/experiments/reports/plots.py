"""Draw a plot to a PNG file with matplotlib: panels side by side, with bands of the spread over seeds."""

import math
from collections.abc import Sequence
from io import BytesIO
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

from dch.errors import MissingExtraError
from dch.experiments.atomic_files import digest_of, write_bytes
from dch.experiments.provenance import Origin
from dch.experiments.reports.page import Line, Panel, Plot

Axes = Any
AnyFigure = Any
"""Types of matplotlib, which is an optional package."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
"""Distinguishable with colour blindness (Okabe and Ito)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", ":")
HATCHES = ("", "///", "...")
ALONE = {"color": COLOURS[0], "marker": MARKERS[0], "linestyle": DASHES[0]}
PANEL_INCHES = (5.2, 4.0)
LEAST_INCHES = 7.5
DPI = 150
MOST_TICKS = 10
SMALL_PRINT_INCHES = 0.35
CHARACTERS_PER_INCH = 19

RC: Any = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}


def require_matplotlib() -> None:
    """Check that plots can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as missing:
        if missing.name != "matplotlib":
            raise
        raise MissingExtraError(
            "plots need matplotlib, which is not installed; "
            "run: pip install -c constraints.txt '.[experiment]'"
        ) from missing


def draw(path: Path, plot: Plot, origin: Origin) -> None:
    """Draw a plot, unless the file already holds the same one; the file is replaced atomically.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    digest = digest_of({"plot": plot, "origin": origin, "code": Path(__file__).read_text()})
    if not (path.exists() and digest.encode() in path.read_bytes()):
        require_matplotlib()
        write_bytes(path, _png(plot, origin, digest))


def _png(plot: Plot, origin: Origin, digest: str) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    content = BytesIO()
    width = max(LEAST_INCHES, PANEL_INCHES[0] * len(plot.panels))
    with rc_context(RC):
        sizes = (PANEL_INCHES[1] + 1.4, SMALL_PRINT_INCHES)
        figure: AnyFigure = Figure(figsize=(width, sum(sizes)), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.08, w_pad=0.1)
        top, bottom = figure.subfigures(2, 1, height_ratios=sizes)
        _fill(top, plot)
        small_print = fill(origin.sentence(), round(CHARACTERS_PER_INCH * width))
        bottom.text(0.01, 0.95, small_print, fontsize=7, color="#777777", va="top")
        metadata = {
            "Title": plot.title,
            "Description": f"{plot.note} {origin.sentence()}".strip(),
            "Comment": digest,
        }
        figure.savefig(content, format="png", dpi=DPI, metadata=metadata)
    return content.getvalue()


def _fill(figure: AnyFigure, plot: Plot) -> None:
    """Draw all panels; a label looks the same in each."""
    looks = _looks(plot)
    figure.suptitle(plot.title, fontsize=13, fontweight="bold")
    handles: dict[str, Any] = {}
    for axes, panel in zip(figure.subplots(1, len(plot.panels), squeeze=False)[0], plot.panels, strict=True):
        draws = _bars if panel.x_names else _lines
        handles |= draws(axes, panel, looks)
        axes.set_title(panel.title)
        axes.set_xlabel(panel.x_label)
        axes.set_ylabel(panel.y_label)
    handles = {label: handle for label, handle in handles.items() if label in looks}
    if handles:
        n_rows = math.ceil(len(handles) / (2 + 2 * len(plot.panels)))
        columns = math.ceil(len(handles) / n_rows)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)


def _looks(plot: Plot) -> dict[str, dict[str, str]]:
    """Return colour, marker and line style of each label, in the order of the labels.

    A label that is alone in its panel gets none: the title of the panel names the line.
    """
    labels = dict.fromkeys(label for panel in plot.panels if len(panel.lines) > 1 for label in panel.lines)
    colours, markers = cycle(COLOURS), cycle(MARKERS)
    return {
        label: {
            "color": next(colours),
            "marker": next(markers),
            "linestyle": DASHES[at // len(COLOURS) % len(DASHES)],
        }
        for at, label in enumerate(labels)
    }


def _lines(axes: Axes, panel: Panel, looks: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Draw lines with a band of one standard deviation to each side; return the legend handles by label."""
    handles = {}
    for label, line in panel.lines.items():
        look = looks.get(label, ALONE)
        (handles[label],) = axes.plot(line.x, line.y, **look)
        if len(line.spread):
            low = [y - spread for y, spread in zip(line.y, line.spread, strict=True)]
            high = [y + spread for y, spread in zip(line.y, line.spread, strict=True)]
            axes.fill_between(line.x, low, high, color=look["color"], alpha=0.18, linewidth=0)
    if panel.log_x:
        _scale_x(axes, list(panel.lines.values()))
    return handles


def _scale_x(axes: Axes, lines: Sequence[Line]) -> None:
    """Make x logarithmic, with a tick at each value if there are few; 0 is drawn left of 1."""
    ticks = sorted({x for line in lines for x in line.x})
    if ticks and ticks[0] <= 0:
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    else:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    ticks = [
        tick for at, tick in enumerate(ticks) if not at or ticks[at - 1] <= 0 or tick >= 1.4 * ticks[at - 1]
    ]
    if len(ticks) <= MOST_TICKS:
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()


def _bars(axes: Axes, panel: Panel, looks: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Draw groups of bars with whiskers of one standard deviation; return the legend handles by label."""
    width, handles = 0.84 / max(1, len(panel.lines)), {}
    for at, (label, line) in enumerate(panel.lines.items()):
        positions = [x + (at - (len(panel.lines) - 1) / 2) * width for x in line.x]
        look = looks.get(label, ALONE)
        style = {"color": look["color"], "hatch": HATCHES[DASHES.index(look["linestyle"])]}
        handles[label] = axes.bar(positions, line.y, width, edgecolor="white", linewidth=0.3, **style)
        if any(line.spread):
            axes.errorbar(positions, line.y, line.spread, fmt="none", ecolor="#333333", elinewidth=0.9)
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(panel.x_names)), panel.x_names)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    return handles
