"""Draw a plot to a PNG file by matplotlib: panels side by side, bands of the spread over seeds, a legend."""

import math
from collections.abc import Sequence
from importlib import import_module
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

from dch.errors import MissingExtraError
from dch.experiments.atomic_files import digest_of
from dch.experiments.origin import Origin
from dch.experiments.reports.page import Line, Panel, Plot

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
"""Told apart by the colour-blind too (Okabe and Ito)."""

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

RC = {
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
    """Import what draws.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    _need("matplotlib")


def draw(path: Path, plot: Plot, origin: Origin) -> None:
    """Draw a plot, if the file is not the very same already; whoever looks sees the old file or the new one.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    digest = digest_of({"plot": plot, "origin": origin, "how": Path(__file__).read_text()})
    if not (path.exists() and digest.encode() in path.read_bytes()):
        _draw(path, plot, origin, digest)


def _draw(path: Path, plot: Plot, origin: Origin, digest: str) -> None:
    matplotlib, figures = _need("matplotlib"), _need("matplotlib.figure")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    width = max(LEAST_INCHES, PANEL_INCHES[0] * len(plot.panels))
    with matplotlib.rc_context(RC):
        sizes = (PANEL_INCHES[1] + 1.4, SMALL_PRINT_INCHES)
        figure = figures.Figure(figsize=(width, sum(sizes)), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.08, w_pad=0.1)
        top, bottom = figure.subfigures(2, 1, height_ratios=sizes)
        _fill(top, plot)
        small_print = fill(origin.sentence(), round(CHARACTERS_PER_INCH * width))
        bottom.text(0.01, 0.95, small_print, fontsize=7, color="#777777", va="top")
        said = {
            "Title": plot.title,
            "Description": f"{plot.note} {origin.sentence()}".strip(),
            "Comment": digest,
        }
        figure.savefig(draft, format="png", dpi=DPI, metadata=said)
    draft.replace(path)


def _fill(figure: Any, plot: Plot) -> None:  # noqa: ANN401 - matplotlib is an extra
    """Draw all panels in one look: a label has the same colour in each."""
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
    """Return colour, marker and dashes of each label, in the order in which labels come.

    A line that is alone in its panel needs none: the panel says what it is.
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


def _lines(axes: Any, panel: Panel, looks: dict[str, dict[str, str]]) -> dict[str, Any]:  # noqa: ANN401
    """Draw lines with a band of one standard deviation to each side, and return a handle by label."""
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


def _scale_x(axes: Any, lines: Sequence[Line]) -> None:  # noqa: ANN401
    """Make x logarithmic, with a tick at each value where they are few; a 0 has its place left of 1."""
    ticks = sorted({x for line in lines for x in line.x})
    if ticks and ticks[0] <= 0:
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    else:
        axes.set_xscale("log", base=2)
    if len(ticks) <= MOST_TICKS:
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()


def _bars(axes: Any, panel: Panel, looks: dict[str, dict[str, str]]) -> dict[str, Any]:  # noqa: ANN401
    """Draw groups of bars with whiskers of one standard deviation, and return a handle by label."""
    width, handles = 0.84 / max(1, len(panel.lines)), {}
    for at, (label, line) in enumerate(panel.lines.items()):
        places = [x + (at - (len(panel.lines) - 1) / 2) * width for x in line.x]
        look = looks.get(label, ALONE)
        style = {"color": look["color"], "hatch": HATCHES[DASHES.index(look["linestyle"])]}
        handles[label] = axes.bar(places, line.y, width, edgecolor="white", linewidth=0.3, **style)
        if any(line.spread):
            axes.errorbar(places, line.y, line.spread, fmt="none", ecolor="#333333", elinewidth=0.9)
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(panel.x_names)), panel.x_names)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    return handles


def _need(module: str) -> Any:  # noqa: ANN401
    try:
        return import_module(module)
    except ImportError as missing:
        raise MissingExtraError(
            "plots need matplotlib, which is not installed; run: pip install 'dch-streams[experiment]'"
        ) from missing
