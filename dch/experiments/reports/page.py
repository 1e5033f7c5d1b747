"""Pages of an experiment as plain values: tables and plots, and the averages over seeds that they show."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Literal, NamedTuple


class Spread(NamedTuple):
    """A mean over seeds with its standard deviation (n - 1), 0 for one seed; two columns in a CSV file."""

    mean: float
    std: float


def spread_of(values: Iterable[float | None]) -> Spread | None:
    """Return the mean and standard deviation of the values that are not None; None if there are none."""
    found = [value for value in values if value is not None]
    if not found:
        return None
    return Spread(fmean(found), stdev(found) if len(found) > 1 else 0.0)


Seeds = Mapping[str, Collection[int]]
"""The seeds of the outcomes that made a row or a plot, by data set."""


def seeds_text(seeds: Seeds) -> str:
    """Return seeds as text, such as ``3, 4, 5`` or, if they differ, ``ml-1m 3, 4, 5; yelp 3``."""
    texts = {name: ", ".join(map(str, sorted(of_name))) for name, of_name in seeds.items() if of_name}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{name} {text}" for name, text in texts.items())


Cell = str | float | int | Spread | None
"""None is an empty cell, shown as a dash."""


@dataclass(frozen=True)
class Table:
    """A table, written as ``<name>.csv`` and ``<name>.md``."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    note: str = ""
    """What a reader needs to know: the protocol, what a dash means."""

    decimals: int = 3
    """Decimals of floats and spreads, before they are turned into percent."""

    percent: bool = False
    """Show floats and spreads in percent; the CSV file keeps the shares."""

    best: Literal["", "row", "group"] = ""
    """Where the highest float is bold: in each row, or in each column of rows with the same first cell."""

    not_compared: Collection[str] = ()
    """Second cells of the rows of a group that are never bold."""

    seeds: Sequence[Seeds] = ()
    """The seeds of each row, shown as a last column; empty: all rows have those of their part."""


@dataclass(frozen=True)
class Line:
    """One line of a plot; all sequences have the same length."""

    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float] = ()
    """Standard deviation over seeds of each y; empty if there is one seed."""


def line_of(values: Mapping[int, Spread | None]) -> Line:
    """Return the line through the values that are not None, by x."""
    found = {x: value for x, value in values.items() if value is not None}
    stds = [value.std for value in found.values()]
    return Line(list(found), [value.mean for value in found.values()], stds if any(stds) else ())


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Line]
    log_x: bool = False

    x_names: Sequence[str] = ()
    """If given, the lines are drawn as groups of bars; an x of 0 stands for the first name."""


@dataclass(frozen=True)
class Plot:
    """A plot, written as ``<name>.png``, with its panels side by side."""

    name: str
    title: str
    panels: Sequence[Panel]
    note: str = ""

    seeds: Seeds = field(default_factory=dict)
    """Empty: those of its part."""


Page = Table | Plot
