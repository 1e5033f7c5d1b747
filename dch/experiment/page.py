"""What an experiment shows: tables and plots, as plain values; nothing is drawn here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """Written as ``<name>.csv`` and ``<name>.md``."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    """None is an empty cell, shown as a dash."""

    note: str = ""
    """What a reader has to know: the protocol, what a dash means."""


@dataclass(frozen=True)
class Line:
    """One line of a plot; the three columns are of one length."""

    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float] = ()
    """Standard deviation over seeds of each y; empty for one seed."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Line]
    log_x: bool = False


@dataclass(frozen=True)
class Plot:
    """Written as ``<name>.png``, its panels side by side."""

    name: str
    title: str
    panels: Sequence[Panel]
    note: str = ""


Page = Table | Plot
