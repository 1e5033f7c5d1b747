"""Jobs of drift: a stream in order of time, served with no refit, with refits, or with full fits."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from dch.data.ratings import Ratings
from dch.evaluation.fit_and_serve import serve
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.drift_stream import DriftStream, make_stream, serve_part
from dch.experiments.plan import Plan
from dch.models.model import Model

DATA = ("ml-1m", "amazon-timed")
"""The data sets that have timestamps and are large enough."""

N_PARTS, N_PARTS_QUICK = 8, 3
"""Number of parts of the stream; refits happen between two parts."""


def jobs(plan: Plan) -> list[Job]:
    """Return a job per data set, seed and policy; each full fit is a job, for the first seed only."""
    found = []
    for name in _data(plan):
        for seed in plan.seeds:
            found += [
                _job(name, what, seed, partial(run, plan, name, seed)) for what, run in _POLICIES.items()
            ]
        for part in range(1, _n_parts(plan)):
            seed = plan.seeds[0]
            found.append(_job(name, f"full-{part}", seed, partial(full_fit, plan, name, seed, part)))
    return found


def no_refit(plan: Plan, name: str, seed: int) -> Outcome:
    """Fit to the ratings before the stream and serve all parts with that model."""
    stream = _stream(plan, name)
    model, seconds = _fit(plan, seed, stream.before(0))
    state = serve(model, stream.before(0))
    parts = {str(part): serve_part(stream, part, state) for part in range(stream.n_parts)}
    return {"parts": parts, "first_fit_seconds": seconds, "fit_seconds": []}


def warm_refits(plan: Plan, name: str, seed: int) -> Outcome:
    """Fit to the ratings before the stream; before each later part, refit to all ratings so far."""
    stream = _stream(plan, name)
    parts, fit_s = {}, []
    model: Model | None = None
    for part in range(stream.n_parts):
        so_far = stream.before(part)
        model, seconds = _fit(plan, seed, so_far, model)
        fit_s.append(seconds)
        parts[str(part)] = serve_part(stream, part, serve(model, so_far))
    return {"parts": parts, "first_fit_seconds": fit_s[0], "fit_seconds": fit_s[1:]}


def full_fit(plan: Plan, name: str, seed: int, part: int) -> Outcome:
    """Fit from scratch to all ratings before a part, and serve only that part."""
    stream = _stream(plan, name)
    so_far = stream.before(part)
    model, seconds = _fit(plan, seed, so_far)
    return {"parts": {str(part): serve_part(stream, part, serve(model, so_far))}, "fit_seconds": [seconds]}


_POLICIES: Mapping[str, Callable[[Plan, str, int], Outcome]] = {"none": no_refit, "warm": warm_refits}


def _fit(plan: Plan, seed: int, ratings: Ratings, start: Model | None = None) -> tuple[Model, float]:
    """Fit a model; return it and the seconds that the fit took."""
    from dch.training import fit_model  # importing this package takes seconds

    generation = 1 if start is None else start.generation + 1
    began = time.perf_counter()
    model = fit_model(ratings, replace(plan.config, seed=seed), generation=generation, start=start)
    return model, time.perf_counter() - began


def _stream(plan: Plan, name: str) -> DriftStream:
    return make_stream(plan.ratings(name), _n_parts(plan))


def _n_parts(plan: Plan) -> int:
    return N_PARTS_QUICK if plan.quick else N_PARTS


def _data(plan: Plan) -> list[str]:
    """Return the data sets of this part; in a quick run, all that have timestamps."""
    if plan.quick:
        return [name for name in plan.data if plan.ratings(name).timestamps.any()]
    return [name for name in DATA if name in plan.data]


def _job(name: str, what: str, seed: int, run: Callable[[], Outcome]) -> Job:
    return Job(f"drift/{name}/{what}/{seed}", run)
