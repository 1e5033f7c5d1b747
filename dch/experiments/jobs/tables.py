"""Jobs of the published tables: every method on every data set and seed, measured by ``table_protocol``."""

import time
from dataclasses import replace

from dch.config import Objective
from dch.errors import ConfigError
from dch.evaluation.fit_and_serve import default_fit, timed_fit
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.table_methods import BITS, METHODS, settings_of
from dch.experiments.jobs.table_protocol import by_case, measure_tables, new_ratings
from dch.experiments.jobs.tuned_settings import SEARCHES, tuned_settings
from dch.experiments.plan import Plan
from dch.models.model import Model

DATA = ("ml-1m", "amazon-books", "yelp")
"""The data sets of the published tables."""

CEILING = "ceiling-ranking"
"""Name of the fit on all ratings in the names of its jobs."""

OBJECTIVES: tuple[Objective, ...] = ("ranking", "rating")


def jobs(plan: Plan) -> list[Job]:
    """Return, for each data set, the searches for settings, then one job for each seed and method."""
    found = []
    for name in plan.data if plan.quick else [name for name in DATA if name in plan.data]:
        found += [_settings_job(plan, name, key) for key in SEARCHES]
        for seed in plan.seeds:
            found += [_baseline_job(plan, name, seed, key) for key in METHODS]
            for objective in OBJECTIVES:
                found += [_dch1_job(plan, name, seed, objective), _dch2_job(plan, name, seed, objective)]
            found.append(_ceiling_job(plan, name, seed))
    return found


def _settings_job(plan: Plan, name: str, search: str) -> Job:
    def run() -> Outcome:
        try:
            return {"settings": tuned_settings(plan, name, search)}
        except ConfigError as error:  # the data set is too large: the tables say so, the job has not failed
            return {"left_out": str(error)}

    return Job(f"tables/{name}/{search}-settings/{plan.seeds[0]}", run, of_baseline=True)


def _baseline_job(plan: Plan, name: str, seed: int, key: str) -> Job:
    method = METHODS[key]

    def run() -> Outcome:
        try:
            settings = settings_of(plan, name, method)  # before the clock starts: it may run a search
            split = plan.split(name, seed)
            start = time.perf_counter()
            fitted = method.fit(split.holdout.train, **settings, seed=seed)
        except ConfigError as error:
            return {"left_out": str(error)}
        return {
            "fit_seconds": time.perf_counter() - start,
            "cases": by_case(measure_tables(fitted, split)),
            "bytes_per_item": method.bytes_per_item(split.holdout.train, settings),
        }

    return Job(f"tables/{name}/{key}/{seed}", run, of_baseline=True)


def _dch1_job(plan: Plan, name: str, seed: int, objective: Objective) -> Job:
    """DCH-1: towers are frozen when the new ratings are folded in."""

    def run() -> Outcome:
        model, fit_s = plan.model(name, seed, bits=BITS, objective=objective)
        measured = measure_tables(model, plan.split(name, seed), n_threads=plan.config.threads)
        return {"cases": by_case(measured), "fit_seconds": fit_s} | _sizes(model)

    return Job(f"tables/{name}/dch-1-{objective}/{seed}", run, objective=objective)


def _dch2_job(plan: Plan, name: str, seed: int, objective: Objective) -> Job:
    """DCH-2: towers take a few update steps on the new ratings first."""

    def run() -> Outcome:
        from dch.training.update import update_model

        split = plan.split(name, seed)
        model, fit_s = plan.model(name, seed, bits=BITS, objective=objective)
        config = replace(plan.config, bits=BITS, objective=objective, seed=seed)
        steps = plan.config.steps if plan.quick else None
        start = time.perf_counter()
        model = update_model(
            model, split.holdout.train, new_ratings(split), config=config, steps=steps, seed=seed
        )
        update_s = time.perf_counter() - start
        measured = measure_tables(model, split, n_threads=plan.config.threads)
        return {
            "cases": by_case(measured),
            "fit_seconds": fit_s + update_s,
            "update_seconds": update_s,
        } | _sizes(model)

    return Job(f"tables/{name}/dch-2-{objective}/{seed}", run, objective=objective)


def _ceiling_job(plan: Plan, name: str, seed: int) -> Job:
    """The ceiling of DCH-2: a fit from scratch that has the new ratings, too."""

    def run() -> Outcome:
        split = plan.split(name, seed)
        config = replace(plan.config, bits=BITS, seed=seed)
        every = join(split.holdout.train, new_ratings(split))
        model, fit_s = timed_fit(default_fit, every, config, progress=False)
        measured = measure_tables(model, split, n_threads=plan.config.threads)
        return {"cases": by_case(measured), "fit_seconds": fit_s} | _sizes(model)

    return Job(f"tables/{name}/{CEILING}/{seed}", run)


def _sizes(model: Model) -> dict[str, int]:
    """Return the bytes per item: of its code, and of its code with the ranking vector for reranking."""
    return {
        "bytes_per_item": model.bits // 8,
        "bytes_per_item_reranked": model.bits // 8 + model.item_tower.vector_size,
    }
