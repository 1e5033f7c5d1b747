"""The pages of the published tables: DCH-2 against DCF and CH-like, quality, fit time and size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dch.evaluation.report import DEPTH
from dch.experiments.job import JobName, Outcome, look_up
from dch.experiments.jobs.table_methods import METHODS
from dch.experiments.jobs.table_protocol import SCORES
from dch.experiments.jobs.tables import CEILING
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table, spread_of
from dch.experiments.reports.published import DATA as PUBLISHED_DATA
from dch.experiments.reports.published import published

CASES = ("EUEI", "EUNI", "NUEI")
METRICS = (f"hit@{DEPTH}", f"ndcg@{DEPTH}")

DATA_NAMES = {"ml-1m": "MovieLens (ml-1m)", "amazon-books": "Amazon (amazon-books)", "yelp": "Yelp"}


@dataclass(frozen=True)
class Row:
    """One method of the tables."""

    label: str
    what: str
    """Name in the names of its jobs."""

    strategy: str = SCORES
    group: str = ""
    """Rows are compared within a group; empty for codes ranked by Hamming distance."""

    published: str = ""
    """Name in the published tables; empty if it is not there."""

    is_ceiling: bool = False
    """Whether it learned from the new ratings as if they had come before the fit; it is not compared."""


FLOATS, RERANKED = ", full precision", ", codes reranked"

CEILING_LABEL = "cold fit on all ratings (ceiling)"

ROWS = (
    *(
        Row(method.label, what, published=method.published)
        for what, method in METHODS.items()
        if method.is_code
    ),
    *(
        Row(f"DCH-{n} ({objective})", f"dch-{n}-{objective}", "codes", published=f"DCH-{n}")
        for objective in ("rating", "ranking")
        for n in (1, 2)
    ),
    Row(CEILING_LABEL, CEILING, "codes", is_ceiling=True),
    *(
        Row(f"DCH-{n} ({objective}), reranked", f"dch-{n}-{objective}", "codes+rerank", RERANKED)
        for objective in ("rating", "ranking")
        for n in (1, 2)
    ),
    Row(f"{CEILING_LABEL}, reranked", CEILING, "codes+rerank", RERANKED, is_ceiling=True),
    *(Row(method.label, what, group=FLOATS) for what, method in METHODS.items() if not method.is_code),
)

OURS = next(row for row in ROWS if row.label == "DCH-2 (ranking)")
DCF, CH = (next(row for row in ROWS if row.label == label) for label in ("DCF", "CH-like"))


class TableOutcomes:
    """The outcomes by data set and method, averaged over seeds."""

    def __init__(self, outcomes: Mapping[str, Outcome]) -> None:
        self._outcomes: dict[tuple[str, str], list[Outcome]] = {}
        for name, outcome in outcomes.items():
            job = JobName.of(name)
            self._outcomes.setdefault((job.data, job.what), []).append(outcome)
        self.data = list(dict.fromkeys(data for data, _ in self._outcomes))

    def was_run(self, data: str, row: Row) -> bool:
        """Tell whether a method was measured on a data set."""
        return (data, row.what) in self._outcomes

    @property
    def rows(self) -> list[Row]:
        """The rows with a figure of ours or a published one; a method that was not run has neither."""
        return [row for row in ROWS if row.published or any(self.was_run(data, row) for data in self.data)]

    def quality(self, data: str, row: Row, case: str, metric: str) -> Spread | None:
        """Return a metric of a method in a case, or None if the method cannot rank there or was not run."""
        return self._over_seeds(data, row, "cases", case, row.strategy, metric)

    def cost(self, data: str, row: Row, key: str) -> Spread | None:
        """Return the seconds or bytes under a key of the outcomes."""
        return self._over_seeds(data, row, key)

    def left_out(self) -> Iterator[str]:
        """Yield a sentence for each method that was left out on a data set."""
        for (data, what), outcomes in self._outcomes.items():
            if what in METHODS and "left_out" in outcomes[0]:
                yield f"{METHODS[what].label} was left out on {data}: {outcomes[0]['left_out']}."

    def _over_seeds(self, data: str, row: Row, *keys: str) -> Spread | None:
        return spread_of(look_up(outcome, *keys) for outcome in self._outcomes.get((data, row.what), []))


def tables_pages(outcomes: Mapping[str, Outcome]) -> list[Page]:
    """Return all pages of the published tables; none without outcomes."""
    found = TableOutcomes(outcomes)
    if not found.data:
        return []
    tables = [_quality(found, metric) for metric in METRICS]
    are_compared = any(found.was_run(data, row) for data in found.data for row in (DCF, CH))
    return [*([_cells(found)] if are_compared else []), *tables, _bars(found), _cost(found)]


def _quality(found: TableOutcomes, metric: str) -> Table:
    columns = ["case", "method"]
    for data in found.data:
        columns += [_name(data), *([f"{data}, published"] if data in PUBLISHED_DATA else [])]
    rows = []
    for group in ("", RERANKED, FLOATS):
        for case in CASES:
            for row in (row for row in found.rows if row.group == group):
                rows.append([case + group, row.label, *_figures(found, row, case, metric)])
    note = (
        "Mean ± standard deviation over seeds. The highest figure of each case and kind of method is bold. "
        "The published protocol is not public, so only the order of the published figures is comparable. "
        "The ceiling of DCH-2 is a fit from scratch that learns from the new ratings, too; it is never bold. "
        "The publication has one objective; its DCH figures are repeated beside both of ours. "
        + " ".join(found.left_out())
    )
    title = f"{metric.upper()} with 64 bits, and the published figures"
    name, ceilings = f"tables_{metric.split('@')[0]}", [row.label for row in ROWS if row.is_ceiling]
    return Table(name, title, columns, rows, note.strip(), percent=True, best="group", not_compared=ceilings)


def _figures(found: TableOutcomes, row: Row, case: str, metric: str) -> Iterator[Cell]:
    for data in found.data:
        yield found.quality(data, row, case, metric)
        if data in PUBLISHED_DATA:
            yield published(metric, case, row.published, data)


def _cells(found: TableOutcomes) -> Table:
    """Return the table that tells for every cell whether DCH-2 is above DCF and CH-like.

    A baseline that cannot rank counts as below. The verdict is empty where one of the three was not run.
    """
    rows: list[list[Cell]] = []
    for metric in METRICS:
        for data in found.data:
            for case in CASES:
                figures = [found.quality(data, row, case, metric) for row in (OURS, DCF, CH)]
                ours, *others = figures
                is_above = None
                if all(found.was_run(data, row) for row in (OURS, DCF, CH)):
                    is_above = ours is not None and all(other is None or ours > other for other in others)
                margin = _margin(ours, others)
                rows.append([metric.upper(), _name(data), case, *figures, margin, is_above])
    n_above = sum(bool(row[-1]) for row in rows)
    title = f"DCH-2 (ranking) above DCF and CH-like: {n_above} of {len(rows)} cells"
    columns = ["metric", "data set", "case", "DCH-2 (ranking)", "DCF", "CH-like", "margin", "above both"]
    note = (
        "Codes alone, ranked by plain Hamming distance. Margin: DCH-2 minus the better of DCF and "
        "CH-like, which is CH without the loss on products of codes."
    )
    return Table("tables_cells", title, columns, rows, note, percent=True)


def _margin(ours: Spread | None, others: Sequence[Spread | None]) -> float | None:
    figures = [other.mean for other in others if other is not None]
    return ours.mean - max(figures) if ours is not None and figures else None


def _bars(found: TableOutcomes) -> Plot:
    metric = METRICS[1]
    panels = [
        Panel(case, "", metric.upper(), _bar_lines(found, case, metric), x_names=found.data) for case in CASES
    ]
    return Plot("tables_ndcg_plot", f"{metric.upper()} of 64-bit codes, and of iALS with 64 floats", panels)


def _bar_lines(found: TableOutcomes, case: str, metric: str) -> dict[str, Line]:
    lines = {}
    for row in (row for row in ROWS if not row.group or row.what == "ials"):
        figures = [found.quality(data, row, case, metric) for data in found.data]
        if any(figures):
            lines[row.label] = _bar_line(figures)
    return lines


def _bar_line(figures: Sequence[Spread | None]) -> Line:
    known = {at: figure for at, figure in enumerate(figures) if figure is not None}
    return Line(list(known), [one.mean for one in known.values()], [one.std for one in known.values()])


def _cost(found: TableOutcomes) -> Table:
    columns = ["method"]
    for data in found.data:
        columns += [f"{data}, fit in s", f"{data}, bytes per item"]
    rows = []
    for row in (row for row in ROWS if any(found.was_run(data, row) for data in found.data)):
        cells: list[Cell] = [row.label]
        for data in found.data:
            size = found.cost(data, row, "bytes_per_item" + "_reranked" * (row.group == RERANKED))
            cells += [found.cost(data, row, "fit_seconds"), None if size is None else round(size.mean)]
        rows.append(cells)
    note = (
        "Seconds of one fit, averaged over seeds; those of DCH-2 include its update. The search for settings "
        "is not included. Reranking reads the ranking vector of an item in addition to its code."
    )
    return Table("tables_cost", "Fit time and bytes per item", columns, rows, note, decimals=1)


def _name(data: str) -> str:
    return DATA_NAMES.get(data, data)
