"""Jobs of the goals: everything that is measured to tell whether the model meets them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from dch.data.splits import Holdout
from dch.evaluation.code_collisions import measure_code_collisions
from dch.evaluation.cold_items import hit_rate, make_cold_task, measure_cold_items
from dch.evaluation.cold_users import measure_cold_users
from dch.evaluation.exposure import (
    fair_shares,
    make_exposure_tasks,
    measure_exposure,
    state_with_new_items,
    with_few_given,
)
from dch.evaluation.fit_and_serve import default_fit, serve, timed_fit, warm_up
from dch.experiments.baselines.feature_ridge import features_scorer
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.baselines.score_lists import precedences, scorer_lists
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.goal_baselines import GOAL_BASELINES, baseline
from dch.experiments.jobs.goal_sizes import long_vectors, narrow_ials
from dch.experiments.jobs.table_protocol import DEFAULT, by_case, goal_cases, relevant_from, with_default
from dch.experiments.jobs.tuned_settings import tuned_ials
from dch.experiments.plan import Plan
from dch.models.model import Model

DATA = ("ml-1m", "yelp", "amazon-books")
"""The data sets that have goals."""

IN_DEPTH_ON = "ml-1m"
"""The data set of the goals that name no data set."""

RESERVED_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the list positions that are reserved for new items, measured one after the other."""

FEW_GIVEN = 5
"""Ratings of a new item that is seldom listed without reserved positions."""

MORE_RATINGS = 0.1
"""Number of ratings that are new at a refit, divided by the number at the fit before."""

Measure = Callable[[Plan, str, int], Outcome]
"""Takes a plan, a data set and a seed."""


def jobs(plan: Plan) -> list[Job]:
    """Return every measurement of every data set that has goals; in a quick run, of all data sets."""
    return [
        Job(f"goals/{name}/{what}/{seed}", partial(measure, plan, name, seed), what in OF_BASELINES)
        for name in (plan.data if plan.quick else DATA)
        if name in plan.data
        for seed in plan.seeds
        for what, measure in _measures(name, is_first=seed == plan.seeds[0]).items()
    ]


def codes(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure all lists of a model in all cases, and how long the fit took with kernels already compiled."""
    model, seconds = plan.model(name, seed)
    measured = goal_cases(model, plan.split(name, seed).holdout, n_threads=plan.config.threads)
    return {
        "cases": with_default(by_case(measured), model),
        "seconds": seconds,
        "bytes_per_item": bytes_per_item(model),
    }


def without_neighbours(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure the lists of a model that was fitted without neighbours: 72 bytes an item.

    Its ranking vectors differ only where item-to-item weights teach codes: beside neighbours, vectors learn
    from ALS alone; without them, from these weights, too.
    """
    model, seconds = plan.model(name, seed)
    if model.settings.get("teacher_neighbours") and not model.neighbours.is_empty:
        alone = replace(plan, config=replace(plan.config, neighbours=0))
        model, seconds = alone.model(name, seed)
    measured = goal_cases(model, plan.split(name, seed).holdout, n_threads=plan.config.threads)
    return {"cases": by_case(measured), "seconds": seconds}


def bytes_per_item(model: Model) -> dict[str, int]:
    """Return the bytes an item that each strategy reads."""
    code = model.bits // 8
    vector = code + model.item_tower.vector_size
    neighbours = round(model.neighbours.nbytes / max(1, len(model.item_ids)))
    return {
        "codes": code,
        "codes-weighted": code,
        "codes+rerank": vector,
        DEFAULT: vector + (0 if model.neighbours.is_empty else neighbours),
    }


def code_collisions(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure the bits and the code collisions of the users and items that the model was fitted on."""
    model, _ = plan.model(name, seed)
    train = plan.split(name, seed).holdout.train
    found = measure_code_collisions(serve(model, train), train)
    return {side: part._asdict() for side, part in found._asdict().items()}


def refit(plan: Plan, name: str, seed: int) -> Outcome:
    """Fit to most of the training part, refit to all of it, and fit to all of it from scratch.

    The three fits run one after the other, so that their times are comparable.
    """
    from dch.training import fit_model  # importing this package takes seconds

    split, config = plan.split(name, seed).holdout, replace(plan.config, seed=seed)
    is_early = np.random.default_rng([seed, 4]).random(len(split.train)) < 1 / (1 + MORE_RATINGS)
    if not plan.quick:  # the times of a quick run mean nothing
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
    """Measure how often new items are listed among all items, and the effect of reserved positions."""
    return _exposure(plan, name, seed, plan.split(name, seed).holdout)


def exposure_of_few(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure the same with FEW_GIVEN ratings of each new item, which are then hardly listed."""
    few = with_few_given(plan.split(name, seed).holdout, FEW_GIVEN, np.random.default_rng([seed, 5]))
    return _exposure(plan, name, seed, few)


def _exposure(plan: Plan, name: str, seed: int, split: Holdout) -> Outcome:
    model, _ = plan.model(name, seed)
    state, asked = state_with_new_items(model, split), make_exposure_tasks(split, relevant_from(split.train))
    curves: dict[str, dict[str, list[float]]] = {}
    for point in measure_exposure(state, split, asked, RESERVED_SHARES, n_threads=plan.config.threads):
        values = point._asdict()
        curve = curves.setdefault(values.pop("strategy"), {})
        for what, value in values.items():
            curve.setdefault(what, []).append(value)
    return {"even": fair_shares(state, split, asked)._asdict(), "curves": curves}


def cold_users(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure new users that have features and no rating, on their test ratings and on all their ratings."""
    model, _ = plan.model(name, seed)
    split = plan.split(name, seed).holdout
    found = {}
    for what, ratings in (("tested", split.user_test), ("all", join(split.user_given, split.user_test))):
        measured = measure_cold_users(
            model, split, ratings, relevant_from(split.train), n_threads=plan.config.threads
        )
        found[what] = measured._asdict() if measured else {}
    return found


def cold_items(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure new items that have features and no rating, on their test ratings and on all their ratings.

    Beside them stands a ridge regression from the same features to the item factors of tuned iALS.
    """
    model, _ = plan.model(name, seed)
    split = plan.split(name, seed).holdout
    scorer = features_scorer(tuned_ials(plan, name, seed), split.train, seed)
    state, positive_from = serve(model, split.train), relevant_from(split.train)
    order = precedences(split.train, positive_from)
    found = {}
    for what, ratings in (("tested", split.item_test), ("all", join(split.item_given, split.item_test))):
        measured = measure_cold_items(
            model, split, ratings, relevant_from(split.train), n_threads=plan.config.threads
        )
        task = make_cold_task(state, split, ratings, positive_from)
        ridge = hit_rate(scorer_lists(scorer, task, precedence=order), task) if len(task.users) else 0.0
        found[what] = {**measured._asdict(), "ridge": ridge} if measured else {}
    return found


EVERYWHERE: Mapping[str, Measure] = {
    "codes": codes,
    "no-neighbours": without_neighbours,
    **{key: partial(baseline, key) for key in GOAL_BASELINES},
    "collapse": code_collisions,
    "exposure-few": exposure_of_few,
}
"""Measured on every data set, by the name that the jobs have in the job store."""

IN_DEPTH: Mapping[str, Measure] = {
    "exposure": exposure,
    "unrated": cold_items,
    "unrated-users": cold_users,
    "refit": refit,
}
"""Measured on one data set only, by the name that the jobs have in the job store."""

SIZES: Mapping[str, Measure] = {"long-vectors": long_vectors, "narrow-ials": narrow_ials}
"""Measured for the plot of quality by size, with the first seed only."""

OF_BASELINES = (*GOAL_BASELINES, "narrow-ials")


def _measures(name: str, *, is_first: bool) -> Mapping[str, Measure]:
    found = {**EVERYWHERE, **(SIZES if is_first else {})}
    return found if name in DATA and name != IN_DEPTH_ON else {**found, **IN_DEPTH}
