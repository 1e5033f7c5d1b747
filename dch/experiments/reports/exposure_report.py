"""What places reserved for new items bring and cost, as a table and a plot."""

from collections.abc import Mapping, Sequence

from dch.experiments.reports.goal_list import Found
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table
from dch.experiments.reports.seeds import look_up, spread_of

COLUMNS: Mapping[str, str] = {
    "exposure": "places of new items",
    "new_hit": "HIT@20 new",
    "new_ndcg": "NDCG@20 new",
    "old_hit": "HIT@20 training",
    "old_ndcg": "NDCG@20 training",
}
"""Heads of the measures that a curve has."""

PLOTTED = ("exposure", "new_hit", "old_hit")

NOTE = """Existing users, asked for 20 of all items, new ones among them; a new item has its code from 80%
of its ratings. Reserved: `new_item_share`, the share of a list's places that new items have at least. Places:
share of all places that they come to have. HIT and NDCG of new items are over the users to whom a new item is
relevant, and only those items count (EUNI-all); those of training items likewise. An even hand: {even}."""


def exposure_pages(by_data: Mapping[str, Found]) -> list[Page]:
    """Return a table of all data sets and a plot of each, of what was measured."""
    curves = {name: _curves(found) for name, found in by_data.items()}
    rows: list[Sequence[Cell]] = [
        (name, strategy, f"{100 * share:g}%", *(values[what][at] for what in COLUMNS))
        for name, of in curves.items()
        for strategy, (shares, values) in of.items()
        for at, share in enumerate(shares)
    ]
    if not rows:
        return []
    even = "; ".join(_even(name, by_data[name]) for name, of in curves.items() if of)
    columns = ("data set", "strategy", "reserved", *COLUMNS.values())
    title = "Places reserved for new items: what they bring and cost"
    table = Table("exposure", title, columns, rows, NOTE.format(even=even), percent=True)
    return [table, *(_plot(name, of) for name, of in curves.items() if of)]


Curves = Mapping[str, tuple[list[float], Mapping[str, list[Spread]]]]
"""By strategy: the reserved shares, and at each the mean over seeds of every measure."""


def _curves(found: Found) -> Curves:
    outcomes = [outcome for (job, _), outcome in found.items() if job == "exposure"]
    of_seeds: Sequence[Mapping[str, Mapping[str, list[float]]]] = [one["curves"] for one in outcomes]  # type: ignore[misc] # as measured
    return {
        strategy: (
            curve["new_item_share"],
            {what: _over_seeds([one[strategy][what] for one in of_seeds]) for what in COLUMNS},
        )
        for strategy, curve in (of_seeds[0] if of_seeds else {}).items()
    }


def _over_seeds(curves: Sequence[Sequence[float]]) -> list[Spread]:
    return [found for values in zip(*curves, strict=True) if (found := spread_of(values))]


def _even(name: str, found: Found) -> str:
    shares = []
    for what in ("of_catalogue", "of_relevant"):
        mean = spread_of(look_up(one, "even", what) for (job, _), one in found.items() if job == "exposure")
        shares.append(f"{100 * mean.mean:.1f}%" if mean else "unknown")
    return (
        f"on {name} new items are {shares[0]} of the catalogue and have {shares[1]} of the relevant ratings"
    )


def _plot(name: str, curves: Curves) -> Plot:
    panels = [
        Panel(
            COLUMNS[what],
            "share of places reserved, %",
            "%",
            {strategy: _line(shares, values[what]) for strategy, (shares, values) in curves.items()},
        )
        for what in PLOTTED
    ]
    return Plot(f"exposure-{name}", f"Places reserved for new items, {name}", panels)


def _line(shares: Sequence[float], values: Sequence[Spread]) -> Line:
    return Line(
        [100 * share for share in shares],
        [100 * value.mean for value in values],
        [100 * value.std for value in values],
    )
