"""The published tables: every method on every data set and seed, by the protocol of ``protocol.py``."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dch.config import Objective
from dch.errors import ConfigError
from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.table_methods import BITS, METHODS, SEARCHES, searched, settings_of
from dch.experiments.jobs.table_protocol import by_case, measure_tables, new_ratings
from dch.experiments.plan import Plan
from dch.experiments.reports import quality_report as quality
from dch.experiments.reports.page import Page
from dch.experiments.reports.published import DATA
from dch.models.model import Model

OBJECTIVES: tuple[Objective, ...] = ("ranking", "rating")


def jobs(plan: Plan) -> list[Job]:
    """Return the searches for settings of each data set, then one job for each seed and method."""
    found = []
    for name in plan.data if plan.quick else [name for name in DATA if name in plan.data]:
        found += [_settings_job(plan, name, key) for key in SEARCHES]
        for seed in plan.seeds:
            found += [_method_job(plan, name, seed, key) for key in METHODS]
            for objective in OBJECTIVES:
                found += [_frozen_job(plan, name, seed, objective), _update_job(plan, name, seed, objective)]
    return found


def pages(outcomes: Mapping[str, Outcome]) -> Sequence[Page]:
    """Return quality beside the published figures, what each method costs, and who is above whom."""
    return quality.pages(outcomes)


def _settings_job(plan: Plan, name: str, search: str) -> Job:
    def run() -> Outcome:
        try:
            return {"settings": searched(plan, name, search)}
        except ConfigError as error:  # too large for the method: said in the table, no failure
            return {"left_out": str(error)}

    return Job(f"tables/{name}/{search}-settings/{plan.seeds[0]}", run, of_baseline=True)


def _method_job(plan: Plan, name: str, seed: int, key: str) -> Job:
    method = METHODS[key]

    def run() -> Outcome:
        try:
            settings = settings_of(plan, name, method)  # before the clock runs
        except ConfigError as error:
            return {"left_out": str(error)}
        split = plan.split(name, seed)
        start = time.perf_counter()
        fitted = method.fit(split.holdout.train, settings, seed)
        return {
            "fit_seconds": time.perf_counter() - start,
            "cases": by_case(measure_tables(fitted, split)),
            "bytes_per_item": method.bytes_per_item(split.holdout.train),
        }

    return Job(f"tables/{name}/{key}/{seed}", run, of_baseline=True)


def _frozen_job(plan: Plan, name: str, seed: int, objective: Objective) -> Job:
    def run() -> Outcome:
        model, fit_s = plan.model(name, seed, bits=BITS, objective=objective)
        measured = measure_tables(model, plan.split(name, seed), n_threads=plan.config.threads)
        return {"cases": by_case(measured), "fit_seconds": fit_s} | _sizes(model)

    return Job(f"tables/{name}/dch-1-{objective}/{seed}", run)


def _update_job(plan: Plan, name: str, seed: int, objective: Objective) -> Job:
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

    return Job(f"tables/{name}/dch-2-{objective}/{seed}", run)


def _sizes(model: Model) -> dict[str, int]:
    """Return the bytes of an item: of its code, and with the ranking vector that reranking reads."""
    return {
        "bytes_per_item": model.bits // 8,
        "bytes_per_item_reranked": model.bits // 8 + model.item_tower.vector_size,
    }
