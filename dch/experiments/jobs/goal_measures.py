"""What is measured for the goals: each measure takes a plan, a data set and a seed, and returns JSON."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from dch.evaluation.code_collisions import measure_code_collisions
from dch.evaluation.cold_items import measure_cold_items
from dch.evaluation.exposure import fair_shares, make_exposure_tasks, measure_exposure, state_with_new_items
from dch.evaluation.fit_and_serve import default_fit, serve, timed_fit, warm_up
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.job import Outcome
from dch.experiments.jobs.table_protocol import by_case, goal_cases, relevant_from
from dch.experiments.jobs.tuned_ials import ials_settings, tuned_ials
from dch.experiments.plan import Plan

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Of places reserved for new items, tried in turn."""

MORE_RATINGS = 0.1
"""How many ratings have come before a refit, over those of the fit before."""


def codes(plan: Plan, name: str, seed: int, *, bits: int = 64) -> Outcome:
    """Measure the codes in all cases, and how long the fit took with kernels compiled beforehand."""
    model, seconds = plan.model(name, seed, bits=bits)
    measured = goal_cases(model, plan.split(name, seed).holdout, n_threads=plan.config.threads)
    return {"cases": by_case(measured), "seconds": seconds}


def long_codes(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure codes of 128 bits."""
    return codes(plan, name, seed, bits=128)


def ials(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure the tuned rival in full precision."""
    settings = ials_settings(plan, name)
    start = time.perf_counter()
    fitted = tuned_ials(plan, name, seed)
    seconds = time.perf_counter() - start
    cases = by_case(goal_cases(fitted, plan.split(name, seed).holdout))
    return {"cases": cases, "seconds": seconds, "settings": dict(settings)}


def collapse(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure bits and shared codes of the users and items that the model was fitted on."""
    model, _ = plan.model(name, seed)
    train = plan.split(name, seed).holdout.train
    found = measure_code_collisions(serve(model, train), train)
    return {side: part._asdict() for side, part in found._asdict().items()}


def refit(plan: Plan, name: str, seed: int) -> Outcome:
    """Fit to some of the training part, refit to all of it, and fit to all of it from nothing.

    All three one after the other, so that their times compare; the quality of a refit is that of EUEI.
    """
    from dch.training import fit_model  # its package takes seconds to import

    split, config = plan.split(name, seed).holdout, replace(plan.config, seed=seed)
    is_early = np.random.default_rng([seed, 4]).random(len(split.train)) < 1 / (1 + MORE_RATINGS)
    if not plan.quick:  # there, times mean nothing
        warm_up(default_fit, config)
    first, first_s = timed_fit(default_fit, split.train.subset(is_early), config, progress=False)
    start = time.perf_counter()
    warm = fit_model(split.train, config, generation=2, start=first)
    warm_s = time.perf_counter() - start
    cold, cold_s = timed_fit(default_fit, split.train, config, progress=False)
    return {
        "seconds": {"first": first_s, "warm": warm_s, "cold": cold_s},
        "first": by_case(goal_cases(first, split, n_threads=config.threads)),
        "warm": by_case(goal_cases(warm, split, n_threads=config.threads)),
        "cold": by_case(goal_cases(cold, split, n_threads=config.threads)),
    }


def exposure(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure what new items get among all items, and what reserved places bring and cost."""
    model, _ = plan.model(name, seed)
    split = plan.split(name, seed).holdout
    state, asked = state_with_new_items(model, split), make_exposure_tasks(split, relevant_from(split.train))
    curves: dict[str, dict[str, list[float]]] = {}
    for point in measure_exposure(state, split, asked, SHARES, n_threads=plan.config.threads):
        values = point._asdict()
        curve = curves.setdefault(values.pop("strategy"), {})
        for what, value in values.items():
            curve.setdefault(what, []).append(value)
    return {"even": fair_shares(state, split, asked)._asdict(), "curves": curves}


def unrated(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure new items that have features and no rating, by their tested ratings and by all of them."""
    model, _ = plan.model(name, seed)
    split = plan.split(name, seed).holdout
    found = {}
    for what, ratings in (("tested", split.item_test), ("all", join(split.item_given, split.item_test))):
        measured = measure_cold_items(
            model, split, ratings, relevant_from(split.train), n_threads=plan.config.threads
        )
        found[what] = measured._asdict() if measured else {}
    return found


Measure = Callable[[Plan, str, int], Outcome]

RIVAL = "ials"

EVERYWHERE: Mapping[str, Measure] = {RIVAL: ials, "codes": codes, "collapse": collapse}
"""On every data set, by the name that a job has."""

IN_DEPTH: Mapping[str, Measure] = {
    "exposure": exposure,
    "unrated": unrated,
    "128-bits": long_codes,
    "refit": refit,
}
"""On one data set alone."""
