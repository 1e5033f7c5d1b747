"""The pages of drift: hit rates over the whole stream and along it, and the fit time, by refit policy."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from statistics import fmean
from typing import NamedTuple, cast

from dch.evaluation.report import DEPTH
from dch.experiments.job import JobName, Outcome, look_up
from dch.experiments.reports.page import Cell, Line, Page, Panel, Plot, Spread, Table, line_of, spread_of
from dch.state.prequential import COHORTS

HIT = f"HIT@{DEPTH}"

POLICIES = {"none": "no refit", "warm": "refits", "full": "full fits"}

NOTE = f"""The first model is fitted to the earliest half of the ratings. The other half is streamed in
order of time, in equal parts. Each rating is tested before it is learned. A trial is a rating of at least
three quarters of the scale; it is a hit if its item is among the first {DEPTH} of the user's reranked list
just before. An item without a code at that time is a miss. Under every policy, each rating is folded in at
once. No refit: the first model serves all parts. Refits: before each part but the first, the serving
model is refitted to all ratings so far. Full fits: at the same points, a model is fitted from scratch; one
seed. New users and new items have no rating in the earliest half. Fit time excludes the first fit.
Popular: the items with the most positive ratings so far."""

POPULAR = "popular"


class PolicyRun(NamedTuple):
    """One refit policy with one seed."""

    parts: Mapping[int, Outcome]
    """Trials and hits in each part."""

    fit_seconds: Sequence[float]
    """Seconds of each fit after the first one, in order."""

    def rate(self, strategy: str, parts: Sequence[int], cohorts: Sequence[str] = COHORTS) -> float | None:
        """Return hits over trials in some parts; None if a part is missing or there was no trial."""
        if not all(part in self.parts for part in parts):
            return None
        hits, trials = (
            sum(look_up(self.parts[part], what, cohort) or 0 for part in parts for cohort in cohorts)
            for what in (strategy, "trials")
        )
        return hits / trials if trials else None


class DriftOutcomes(NamedTuple):
    """The outcomes on one data set."""

    policies: Mapping[str, Sequence[PolicyRun]]
    """By label, one for each seed; the popular list is among them."""

    n_parts: int

    def complete(self, runs: Sequence[PolicyRun]) -> list[PolicyRun]:
        """Return the runs that cover every part."""
        return [one for one in runs if len(one.parts) == self.n_parts]

    def rate(self, label: str, parts: Sequence[int], cohorts: Sequence[str] = COHORTS) -> Spread | None:
        """Return hits over trials in some parts, averaged over seeds."""
        strategy = POPULAR if label == POPULAR else "codes+rerank"
        return spread_of(one.rate(strategy, parts, cohorts) for one in self.policies[label])


def drift_pages(outcomes: Mapping[str, Outcome]) -> list[Page]:
    """Return hit rates with the fit time, hit rates along the stream, and a plot of each data set."""
    by_data: dict[str, dict[JobName, Outcome]] = {}
    for name, outcome in outcomes.items():
        job = JobName.of(name)
        by_data.setdefault(job.data, {})[job] = outcome
    found = {data: _found(jobs) for data, jobs in by_data.items()}
    if not found:
        return []
    return [_summary(found), _along(found), *(_plot(*pair) for pair in found.items())]


def _found(jobs: Mapping[JobName, Outcome]) -> DriftOutcomes:
    """Merge the jobs of each policy and seed; full fits share the first part with no refit."""
    runs: dict[tuple[str, int], PolicyRun] = {}
    for job, outcome in sorted(jobs.items(), key=lambda pair: _order(pair[0])):
        policy = job.what.partition("-")[0]
        before = runs.get((policy, job.seed))
        if before is None:
            first = runs.get(("none", job.seed)) if policy == "full" else None
            before = PolicyRun({0: first.parts[0]} if first else {}, [])
        seconds = cast(Sequence[float], outcome["fit_seconds"])
        runs[policy, job.seed] = PolicyRun(
            {**before.parts, **_parts(outcome)}, [*before.fit_seconds, *seconds]
        )
    policies = {
        label: found
        for policy, label in POLICIES.items()
        if (found := [one for (of, _), one in runs.items() if of == policy])
    }
    n_parts = 1 + max(part for found in policies.values() for one in found for part in one.parts)
    return DriftOutcomes({**policies, POPULAR: next(iter(policies.values()))}, n_parts)


def _order(job: JobName) -> tuple[int, int]:
    """Return the sort key of a job: no refit first, full fits in the order of their parts."""
    policy, _, part = job.what.partition("-")
    return list(POLICIES).index(policy), int(part or 0)


def _parts(outcome: Outcome) -> dict[int, Outcome]:
    return {int(part): counts for part, counts in cast(Mapping[str, Outcome], outcome["parts"]).items()}


def _summary(found: Mapping[str, DriftOutcomes]) -> Table:
    rows: list[list[Cell]] = []
    for data, one in found.items():
        every = range(one.n_parts)
        for label, runs in one.policies.items():
            rates = [one.rate(label, every), *(one.rate(label, every, [cohort]) for cohort in COHORTS)]
            rows.append([data, label, *rates, *_cost(label, runs, one)])
    cohorts = [cohort.replace("_", " ") for cohort in COHORTS]
    columns = ["data set", "policy", HIT, *cohorts, "refits", "fit time, s", "s per fit"]
    title = "Drift: prequential hit rate and fit time"
    return Table("drift", title, columns, rows, NOTE)


def _cost(label: str, runs: Sequence[PolicyRun], found: DriftOutcomes) -> list[Cell]:
    """Return the number of refits, their total seconds and seconds each; None if parts are missing."""
    if label == POPULAR:
        return [0, None, None]
    complete = found.complete(runs)
    if not complete:
        return [None, None, None]
    n_fits, total = len(complete[0].fit_seconds), fmean(sum(one.fit_seconds) for one in complete)
    each = f"{total / n_fits:.1f}" if n_fits else None
    return [n_fits, f"{total:.1f}", each]


def _along(found: Mapping[str, DriftOutcomes]) -> Table:
    n_parts = max(one.n_parts for one in found.values())
    rows: list[list[Cell]] = [
        [data, label, *(one.rate(label, [part]) if part < one.n_parts else None for part in range(n_parts))]
        for data, one in found.items()
        for label in one.policies
    ]
    columns = ["data set", "policy", *(f"part {part + 1}" for part in range(n_parts))]
    return Table("drift_along", f"Drift: {HIT} along the stream", columns, rows, NOTE)


def _plot(data: str, found: DriftOutcomes) -> Plot:
    rates = {label: _rates(found, label) for label in found.policies}
    cost = {
        label: _fit_time(complete, found.n_parts)
        for label, runs in found.policies.items()
        if label != POPULAR and (complete := found.complete(runs))
    }
    panels = [
        Panel("Hit rate along the stream", "part of the stream", HIT, rates),
        Panel("Fit time so far", "part of the stream", "seconds, without the first fit", cost),
    ]
    return Plot(f"drift_{data}_plot", f"Drift, {data}", panels, NOTE)


def _rates(found: DriftOutcomes, label: str) -> Line:
    return line_of({part + 1: found.rate(label, [part]) for part in range(found.n_parts)})


def _fit_time(complete: Sequence[PolicyRun], n_parts: int) -> Line:
    """Return the seconds of fits up to each part, averaged over seeds; constant without fits."""
    spent = [[0.0, *accumulate(one.fit_seconds)] for one in complete]
    return Line(
        list(range(1, n_parts + 1)),
        [fmean(one[min(part, len(one) - 1)] for one in spent) for part in range(n_parts)],
    )
