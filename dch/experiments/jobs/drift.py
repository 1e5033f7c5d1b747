"""Drift: a stream in order of time with no refit, warm refits, or full fits; and what they cost."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from dch.data.ratings import Ratings
from dch.evaluation.fit_and_serve import serve
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.drift_stream import Stream, make_stream, serve_part
from dch.experiments.plan import Plan
from dch.experiments.reports.drift_report import drift_pages
from dch.experiments.reports.page import Page
from dch.models.model import Model

DATA = ("ml-1m", "amazon-timed")
"""With time, and large enough."""

N_PARTS, N_PARTS_QUICK = 8, 3
"""Parts of the stream; a refit between each two."""


def jobs(plan: Plan) -> list[Job]:
    """Return a job for each data set, seed and way to refit; full fits of the first seed alone, one each."""
    found = []
    for name in _data(plan):
        for seed in plan.seeds:
            found += [_job(name, what, seed, partial(run, plan, name, seed)) for what, run in _WAYS.items()]
        for part in range(1, _n_parts(plan)):
            seed = plan.seeds[0]
            found.append(_job(name, f"full-{part}", seed, partial(full, plan, name, seed, part)))
    return found


def pages(outcomes: Mapping[str, Outcome]) -> Sequence[Page]:
    """Return hit rates beside the cost of fitting, and plots of both over time."""
    return drift_pages(outcomes)


def none(plan: Plan, name: str, seed: int) -> Outcome:
    """Fit to the first part, and fold everything in afterwards."""
    stream = _stream(plan, name)
    model, seconds = _fit(plan, seed, stream.before(0))
    state = serve(model, stream.before(0))
    parts = {str(part): serve_part(stream, part, state) for part in range(stream.n_parts)}
    return {"parts": parts, "first_fit_seconds": seconds, "fit_seconds": []}


def warm(plan: Plan, name: str, seed: int) -> Outcome:
    """Refit before each part but the first to all ratings so far, from the model that served."""
    stream = _stream(plan, name)
    parts, taken = {}, []
    model: Model | None = None
    for part in range(stream.n_parts):
        so_far = stream.before(part)
        model, seconds = _fit(plan, seed, so_far, model)
        taken.append(seconds)
        parts[str(part)] = serve_part(stream, part, serve(model, so_far))
    return {"parts": parts, "first_fit_seconds": taken[0], "fit_seconds": taken[1:]}


def full(plan: Plan, name: str, seed: int, part: int) -> Outcome:
    """Fit from nothing to all ratings before a part, and serve that part alone."""
    stream = _stream(plan, name)
    so_far = stream.before(part)
    model, seconds = _fit(plan, seed, so_far)
    return {"parts": {str(part): serve_part(stream, part, serve(model, so_far))}, "fit_seconds": [seconds]}


_WAYS: Mapping[str, Callable[[Plan, str, int], Outcome]] = {"none": none, "warm": warm}


def _fit(plan: Plan, seed: int, ratings: Ratings, start: Model | None = None) -> tuple[Model, float]:
    """Return the model and the seconds that its fit took."""
    from dch.training import fit_model  # torch takes seconds to import

    generation = 1 if start is None else start.generation + 1
    began = time.perf_counter()
    model = fit_model(ratings, replace(plan.config, seed=seed), generation=generation, start=start)
    return model, time.perf_counter() - began


def _stream(plan: Plan, name: str) -> Stream:
    return make_stream(plan.ratings(name), _n_parts(plan))


def _n_parts(plan: Plan) -> int:
    return N_PARTS_QUICK if plan.quick else N_PARTS


def _data(plan: Plan) -> list[str]:
    """Return the data sets of this part; in quick mode those at hand that have time."""
    if plan.quick:
        return [name for name in plan.data if plan.ratings(name).timestamps.any()]
    return [name for name in DATA if name in plan.data]


def _job(name: str, what: str, seed: int, run: Callable[[], Outcome]) -> Job:
    return Job(f"drift/{name}/{what}/{seed}", run)
