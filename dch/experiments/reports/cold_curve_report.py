"""The pages of the cold-start curves: a table of each metric and a plot of each data set."""

from collections.abc import Mapping, Sequence

from dch.evaluation.cold_start import GIVEN_COUNTS
from dch.experiments.job import JobName, Outcome, look_up
from dch.experiments.jobs.cold_curve import CASES, METRICS
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table, line_of, spread_of

STRATEGIES = {
    "codes": "codes",
    "codes+rerank": "codes, reranked",
    "ials": "iALS, 64 floats",
    "popular": "popular",
}

MOST_GIVEN = GIVEN_COUNTS[-1]

NOTE = f"""Each column gives that many ratings of each new user or new item, 0 to {MOST_GIVEN}, sampled at
random. Users and items with fewer than {MOST_GIVEN} ratings to give are left out, so that every column
covers the same ones. Every column also ranks the same items: for users, the training items; for items,
either the new items only, or the new items and the training items. An item is not ranked for a user whose
rating of it may be given, whether or not it is given yet. The lists of new items are made for users of the
training part, encoded from their training ratings. With 0 ratings a new user gets the popular list. With 0
ratings a new item has a code from its features; a dash means that it has no features that the fit knows.
iALS is tuned, and the same ratings are folded into it."""


def cold_curve_pages(outcomes: Mapping[str, Outcome]) -> Sequence[Page]:
    """Return a table of each metric and a plot of each data set."""
    by_data: dict[str, list[Outcome]] = {}
    for name, outcome in outcomes.items():
        by_data.setdefault(JobName.of(name).data, []).append(outcome)
    if not by_data:
        return []
    return [*(_table(by_data, metric) for metric in METRICS), *(_plot(*pair) for pair in by_data.items())]


def _at(outcomes: Sequence[Outcome], case: str, strategy: str, n: int, metric: str) -> Spread | None:
    return spread_of(look_up(outcome, "cases", case, strategy, str(n), metric) for outcome in outcomes)


def _table(by_data: Mapping[str, Sequence[Outcome]], metric: str) -> Table:
    rows: list[list[Cell]] = []
    for data, outcomes in by_data.items():
        for case, shown in CASES.items():
            for strategy, label in STRATEGIES.items():
                figures = [_at(outcomes, case, strategy, n, metric) for n in GIVEN_COUNTS]
                if any(figure is not None for figure in figures):
                    rows.append([data, shown, label, *figures])
    columns = ["data set", "case", "method", *(str(n) for n in GIVEN_COUNTS)]
    title = f"Cold start: {metric.upper()} by number of ratings given"
    counts = " ".join(_count(data, outcomes) for data, outcomes in by_data.items())
    return Table(f"cold_{metric.split('@')[0]}", title, columns, rows, f"{NOTE} {counts}".strip())


def _count(data: str, outcomes: Sequence[Outcome]) -> str:
    """Return a sentence with the number of new users and items, averaged over seeds."""
    users, items = (
        spread_of(look_up(outcome, "new", side) for outcome in outcomes) for side in ("users", "items")
    )
    return f"{data}: {users.mean:,.0f} new users, {items.mean:,.0f} new items." if users and items else ""


def _plot(data: str, outcomes: Sequence[Outcome]) -> Plot:
    panels = [
        Panel(shown.capitalize(), "ratings given", METRICS[0].upper(), _lines(outcomes, case), log_x=True)
        for case, shown in CASES.items()
    ]
    return Plot(f"cold_{data}_plot", f"Cold start, {data}", panels, NOTE)


def _lines(outcomes: Sequence[Outcome], case: str) -> dict[str, Line]:
    lines = {
        label: line_of({n: _at(outcomes, case, strategy, n, METRICS[0]) for n in GIVEN_COUNTS})
        for strategy, label in STRATEGIES.items()
    }
    return {label: line for label, line in lines.items() if line.x}
