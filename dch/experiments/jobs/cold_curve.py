"""Jobs of the cold-start curves: quality for new users and new items with 0 to 20 ratings given."""

from functools import partial

import numpy as np

from dch.data.splits import Holdout
from dch.evaluation.cold_start import GIVEN_COUNTS, ColdStart, cold_start_items, cold_start_users
from dch.evaluation.fit_and_serve import events_of, serve
from dch.evaluation.ranked_lists import Lists, RankingTask, make_lists, measure_lists
from dch.evaluation.report import DEPTH
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.baselines.score_lists import can_rank, precedences, scorer_lists
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.table_protocol import relevant_from
from dch.experiments.jobs.tuned_settings import tuned_ials
from dch.experiments.plan import Plan

LEFT_OUT = ("amazon-timed",)
"""Used for drift only."""

METRICS = (f"hit@{DEPTH}", f"ndcg@{DEPTH}")

CASES = {
    "users": "new users",
    "items": "new items, among themselves",
    "items among all": "new items, among all items",
}

Cases = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Figures by case, strategy, number of ratings given, and metric."""


def jobs(plan: Plan) -> list[Job]:
    """Return a job for each data set, seed, and method."""
    return [
        Job(f"cold/{name}/{what}/{seed}", partial(run, plan, name, seed), what == "ials")
        for name in plan.data
        if name not in LEFT_OUT
        for seed in plan.seeds
        for what, run in (("dch", codes), ("ials", ials))
    ]


def codes(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure codes and the popular list; the towers are frozen."""
    model, _ = plan.model(name, seed)
    split, cases, counts = plan.split(name, seed).holdout, _empty(), {}
    for side, cold in _both(split, seed).items():
        state, counts[side] = serve(model, split.train), cold.n_new
        fold_in = state.fold_in_users if side == "users" else state.fold_in_items
        for n, more in cold.steps():
            fold_in(events_of(state, more))
            state.refresh_items()
            allowed = state.snapshot.item_index.view().allowed.view(np.bool_)
            for case, task in cold.tasks.items():
                if (allowed & task.candidates).any():
                    lists = make_lists(state, task, n_threads=plan.config.threads)
                    _add(cases, case, n, lists, task)
    return {"cases": cases, "new": counts}


def ials(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure tuned iALS with the same ratings folded in."""
    fitted, split, cases = tuned_ials(plan, name, seed), plan.split(name, seed).holdout, _empty()
    for side, cold in _both(split, seed).items():
        for n in GIVEN_COUNTS:
            given = cold.given(0, n)
            counted = split.train if side == "users" else join(split.train, given)
            precedence, scorer = precedences(counted, relevant_from(split.train)), fitted.fold_in(given)
            for case, task in cold.tasks.items():
                if side == "users" or can_rank(scorer, task):
                    lists = scorer_lists(scorer, task, precedence=precedence)
                    _add(cases, case, n, {"ials": lists}, task)
    return {"cases": cases}


def _both(split: Holdout, seed: int) -> dict[str, ColdStart]:
    least = relevant_from(split.train)
    return {
        "users": cold_start_users(split, least, np.random.default_rng([seed, 4])),
        "items": cold_start_items(split, least, np.random.default_rng([seed, 5])),
    }


def _empty() -> Cases:
    return {case: {} for case in CASES}


def _add(cases: Cases, case: str, n: int, lists: dict[str, Lists], task: RankingTask) -> None:
    for key, found in measure_lists(lists, task, case).items():
        if key.metric in METRICS:
            cases[case].setdefault(key.strategy, {}).setdefault(str(n), {})[key.metric] = found.mean
