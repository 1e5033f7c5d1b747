"""What an experiment shows: tables and plots, as plain values; nothing is drawn here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Spread(NamedTuple):
    """A mean over seeds with its standard deviation (n - 1), 0 for one seed; two columns of a CSV."""

    mean: float
    std: float


Cell = str | float | int | Spread | None


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

    decimals: int = 3
    """Of floats and spreads, before they are turned into percent; whole numbers have none."""

    percent: bool = False
    """Floats and spreads are shares, shown in percent; the CSV keeps the shares."""

    best: Literal["", "row", "group"] = ""
    """Highest float in bold: of each row, or in each column of rows with the same first cell; "" for none."""


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

    x_names: Sequence[str] = ()
    """With names the lines are groups of bars: an x of 0 is the place of the first name."""


@dataclass(frozen=True)
class Plot:
    """Written as ``<name>.png``, its panels side by side."""

    name: str
    title: str
    panels: Sequence[Panel]
    note: str = ""


Page = Table | Plot
