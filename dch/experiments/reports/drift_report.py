"""The pages of drift: hit rates by way to refit, over all of the stream and along it, and what they cost."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from statistics import fmean
from typing import NamedTuple, cast

from dch.evaluation.report import DEPTH
from dch.experiments.job import Outcome
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table
from dch.experiments.reports.seeds import JobName, look_up, spread_of
from dch.state.prequential import COHORTS

HIT = f"HIT@{DEPTH}"

WAYS = {"none": "no refit", "warm": "warm refits", "full": "full fits"}

NOTE = f"""The earliest half of the ratings is fitted to; the rest comes in order of time, in equal parts.
Each rating is tested before it is learned: a trial is a rating of three quarters up the scale or more, a hit
is when its item stands in the first {DEPTH} of the user's reranked list just before. An item without a code
just then is a miss. Everything is folded in at once, whatever the way. No refit: the first model serves all
parts. Warm refits: before each part but the first, a refit to all ratings so far, from the model that served.
Full fits: at the same points, from nothing; one seed. New: without a rating in the first half. Seconds of
fitting are those after the first fit. Popular: the most positive ratings so far."""

POPULAR = "popular"


class Served(NamedTuple):
    """One way to refit, with one seed."""

    parts: Mapping[int, Outcome]
    """What was counted in each part."""

    fit_seconds: Sequence[float]
    """Of each fit after the first one, in order."""

    def rate(self, strategy: str, parts: Sequence[int], cohorts: Sequence[str] = COHORTS) -> float | None:
        """Return hits over trials in some parts; None where a part is missing, or nothing was tried."""
        if not all(part in self.parts for part in parts):
            return None
        hits, trials = (
            sum(look_up(self.parts[part], what, cohort) or 0 for part in parts for cohort in cohorts)
            for what in (strategy, "trials")
        )
        return hits / trials if trials else None


class Found(NamedTuple):
    """What was found on one data set."""

    ways: Mapping[str, Sequence[Served]]
    """By label, one for each seed; the popular list is one of them."""

    n_parts: int

    def whole(self, ways: Sequence[Served]) -> list[Served]:
        """Return those that served every part."""
        return [one for one in ways if len(one.parts) == self.n_parts]

    def rate(self, label: str, parts: Sequence[int], cohorts: Sequence[str] = COHORTS) -> Spread | None:
        """Return hits over trials, averaged over seeds."""
        strategy = POPULAR if label == POPULAR else "codes+rerank"
        return spread_of(one.rate(strategy, parts, cohorts) for one in self.ways[label])


def drift_pages(outcomes: Mapping[str, Outcome]) -> list[Page]:
    """Return hit rates beside the cost of fitting, the same along the stream, and a plot of each data set."""
    by_data: dict[str, dict[JobName, Outcome]] = {}
    for name, outcome in outcomes.items():
        job = JobName.of(name)
        by_data.setdefault(job.data, {})[job] = outcome
    found = {data: _found(jobs) for data, jobs in by_data.items()}
    if not found:
        return []
    return [_summary(found), _along(found), *(_plot(*pair) for pair in found.items())]


def _found(jobs: Mapping[JobName, Outcome]) -> Found:
    """Put the parts together; the first part of full fits is that without any refit."""
    served: dict[tuple[str, int], Served] = {}
    for job, outcome in sorted(jobs.items(), key=lambda pair: _order(pair[0])):
        way = job.what.partition("-")[0]
        before = served.get((way, job.seed))
        if before is None:
            first = served.get(("none", job.seed)) if way == "full" else None
            before = Served({0: first.parts[0]} if first else {}, [])
        seconds = cast(Sequence[float], outcome["fit_seconds"])
        served[way, job.seed] = Served({**before.parts, **_parts(outcome)}, [*before.fit_seconds, *seconds])
    ways = {label: [one for (of, _), one in served.items() if of == way] for way, label in WAYS.items()}
    ways = {label: ones for label, ones in ways.items() if ones}
    n_parts = 1 + max(part for ones in ways.values() for one in ones for part in one.parts)
    return Found({**ways, POPULAR: next(iter(ways.values()))}, n_parts)


def _order(job: JobName) -> tuple[int, int]:
    """Return where a job stands: no refit first, the parts of full fits in order."""
    way, _, part = job.what.partition("-")
    return list(WAYS).index(way), int(part or 0)


def _parts(outcome: Outcome) -> dict[int, Outcome]:
    return {int(part): counts for part, counts in cast(Mapping[str, Outcome], outcome["parts"]).items()}


def _summary(found: Mapping[str, Found]) -> Table:
    rows: list[list[Cell]] = []
    for data, one in found.items():
        whole = range(one.n_parts)
        for label, ways in one.ways.items():
            rates = [one.rate(label, whole), *(one.rate(label, whole, [cohort]) for cohort in COHORTS)]
            rows.append([data, label, *rates, *_cost(label, ways, one)])
    cohorts = [cohort.replace("_", " ") for cohort in COHORTS]
    columns = ["data set", "way", HIT, *cohorts, "refits", "s of fitting", "s per fit"]
    title = "Drift: prequential hit rate, and what refits cost"
    return Table("drift", title, columns, rows, NOTE)


def _cost(label: str, ways: Sequence[Served], found: Found) -> list[Cell]:
    """Return the number of refits and their seconds; none where some are missing."""
    if label == POPULAR:
        return [0, None, None]
    whole = found.whole(ways)
    if not whole:
        return [None, None, None]
    n_fits, total = len(whole[0].fit_seconds), fmean(sum(one.fit_seconds) for one in whole)
    each = f"{total / n_fits:.1f}" if n_fits else None
    return [n_fits, f"{total:.1f}", each]


def _along(found: Mapping[str, Found]) -> Table:
    n_parts = max(one.n_parts for one in found.values())
    rows: list[list[Cell]] = [
        [data, label, *(one.rate(label, [part]) if part < one.n_parts else None for part in range(n_parts))]
        for data, one in found.items()
        for label in one.ways
    ]
    columns = ["data set", "way", *(f"part {part + 1}" for part in range(n_parts))]
    return Table("drift_along", f"Drift: {HIT} along the stream", columns, rows, NOTE)


def _plot(data: str, found: Found) -> Plot:
    rates = {label: _rates(found, label) for label in found.ways}
    cost = {
        label: _spent(whole, found.n_parts)
        for label, ones in found.ways.items()
        if label != POPULAR and (whole := found.whole(ones))
    }
    panels = [
        Panel("Hit rate along the stream", "part of the stream", HIT, rates),
        Panel("Fitting so far", "part of the stream", "seconds after the first fit", cost),
    ]
    return Plot(f"drift_{data}_plot", f"Drift, {data}", panels, NOTE)


def _rates(found: Found, label: str) -> Line:
    rates = {part + 1: found.rate(label, [part]) for part in range(found.n_parts)}
    there = {part: rate for part, rate in rates.items() if rate is not None}
    stds = [rate.std for rate in there.values()]
    return Line(list(there), [rate.mean for rate in there.values()], stds if any(stds) else ())


def _spent(whole: Sequence[Served], n_parts: int) -> Line:
    """Return the seconds spent on fits up to each part, averaged over seeds; flat without fits."""
    spent = [[0.0, *accumulate(one.fit_seconds)] for one in whole]
    return Line(
        list(range(1, n_parts + 1)),
        [fmean(one[min(part, len(one) - 1)] for one in spent) for part in range(n_parts)],
    )
