"""The pages of exposure: the effect of list positions reserved for new items, as a table and a plot."""

from collections.abc import Mapping, Sequence
from typing import cast

from dch.experiments.job import look_up
from dch.experiments.reports.goal_list import GoalOutcomes, seeds_of
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table, spread_of

COLUMNS: Mapping[str, str] = {
    "exposure": "positions of new items",
    "new_hit": "HIT@20 new",
    "new_ndcg": "NDCG@20 new",
    "old_hit": "HIT@20 training",
    "old_ndcg": "NDCG@20 training",
}
"""Column headings of the measures along a curve."""

PLOTTED = ("exposure", "new_hit", "old_hit")

GIVEN: Mapping[str, str] = {"exposure": "80%", "exposure-few": "5"}
"""How many ratings of a new item are given, by the job that measures it."""

NOTE = """The lists are for existing users, with 20 of all items, new items included; the code of a new
item comes from the given ratings, 80% of all or at most 5. Reserved is `new_item_share`, the minimum share
of the positions of a list that new items get. Positions of new items is the share that they got. HIT and NDCG
of new items cover the users with a relevant new item, and only new items count as relevant (EUNI-all);
likewise for training items."""


def exposure_pages(by_data: Mapping[str, GoalOutcomes]) -> list[Page]:
    """Return a table of all data sets and a plot of each; none without outcomes."""
    curves = {name: _curves(found, "exposure") for name, found in by_data.items()}
    rows: list[Sequence[Cell]] = [
        (name, given, strategy, f"{100 * share:g}%", *(values[what][at] for what in COLUMNS))
        for name, found in by_data.items()
        for job, given in GIVEN.items()
        for strategy, (shares, values) in _curves(found, job).items()
        for at, share in enumerate(shares)
    ]
    if not rows:
        return []
    seeds = [
        {name: seeds_of(found, job)}
        for name, found in by_data.items()
        for job in GIVEN
        for shares, _ in _curves(found, job).values()
        for _ in shares
    ]
    even = "; ".join(_even(name, by_data[name]) for name, of in curves.items() if of)
    note = NOTE + (f" Reference for these shares: {even}." if even else "")
    columns = ("data set", "given", "strategy", "reserved", *COLUMNS.values())
    title = "Effect of positions reserved for new items"
    table = Table("exposure", title, columns, rows, note, percent=True, seeds=seeds)
    plots = (_plot(name, of, seeds_of(by_data[name], "exposure")) for name, of in curves.items() if of)
    return [table, *plots]


Curves = Mapping[str, tuple[list[float], Mapping[str, list[Spread]]]]
"""By strategy: the reserved shares, and the value of each measure at each of them."""


def _curves(found: GoalOutcomes, measured_by: str) -> Curves:
    outcomes = [outcome for (job, _), outcome in found.items() if job == measured_by]
    of_seeds = [cast(Mapping[str, Mapping[str, list[float]]], one["curves"]) for one in outcomes]
    return {
        strategy: (
            curve["new_item_share"],
            {what: _over_seeds([one[strategy][what] for one in of_seeds]) for what in COLUMNS},
        )
        for strategy, curve in (of_seeds[0] if of_seeds else {}).items()
    }


def _over_seeds(curves: Sequence[Sequence[float]]) -> list[Spread]:
    return [found for values in zip(*curves, strict=True) if (found := spread_of(values))]


def _even(name: str, found: GoalOutcomes) -> str:
    shares = []
    for what in ("of_catalogue", "of_relevant"):
        mean = spread_of(look_up(one, "even", what) for (job, _), one in found.items() if job == "exposure")
        shares.append(f"{100 * mean.mean:.1f}%" if mean else "unknown")
    return (
        f"on {name}, new items are {shares[0]} of the catalogue and have {shares[1]} of the relevant ratings"
    )


def _plot(name: str, curves: Curves, seeds: Sequence[int]) -> Plot:
    panels = [
        Panel(
            COLUMNS[what],
            "share of positions reserved, %",
            "%",
            {strategy: _line(shares, values[what]) for strategy, (shares, values) in curves.items()},
        )
        for what in PLOTTED
    ]
    title = f"Positions reserved for new items, {name}"
    return Plot(f"exposure-{name}", title, panels, seeds={name: seeds})


def _line(shares: Sequence[float], values: Sequence[Spread]) -> Line:
    return Line(
        [100 * share for share in shares],
        [100 * value.mean for value in values],
        [100 * value.std for value in values],
    )
