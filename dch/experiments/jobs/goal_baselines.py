"""The baselines that goals are compared with: each is tuned and measured in all cases."""

import time

from dch.data.splits import Holdout
from dch.errors import ConfigError
from dch.experiments.baselines.ease import pruned
from dch.experiments.baselines.item_weights import BYTES_PER_WEIGHT, FittedItemWeights
from dch.experiments.job import Outcome
from dch.experiments.jobs.table_methods import METHODS, settings_of
from dch.experiments.jobs.table_protocol import by_case, goal_cases
from dch.experiments.jobs.tuned_settings import tuned
from dch.experiments.plan import Plan

GOAL_BASELINES = ("ials", "popularity", "item-cf", "rp3beta", "ease-pruned", "ease", "ials-wide", "bpr")
"""Keys of METHODS, quick ones first. Each is a job of this name."""

CASES = ("EUEI", "NUEI", "EUNI-new")
"""The cases that are shown."""

SIZES = (8, 16, 72, 136)
"""Bytes an item for which pruned EASE is measured beside the tuned number of weights, with the first seed."""


def baseline(key: str, plan: Plan, name: str, seed: int) -> Outcome:
    """Measure a tuned baseline in all cases.

    Args:
        key: of METHODS.
        plan: data, seeds and settings.
        name: the data set.
        seed: of the split and the fit.
    """
    method, split = METHODS[key], plan.split(name, seed).holdout
    try:
        settings = dict(settings_of(plan, name, method))  # before the clock starts: it may run a search
        start = time.perf_counter()
        fitted = method.fit(split.train, **settings, seed=seed)
        seconds = time.perf_counter() - start
    except ConfigError as error:
        return {"left_out": str(error)}
    found = {
        "seconds": seconds,
        "cases": by_case(goal_cases(fitted, split, only=CASES)),
        "bytes_per_item": method.bytes_per_item(split.train, settings),
        "settings": settings,
        "trials": tuned(plan, name, method.search).n_trials if method.search else 0,
    }
    if key == "ease-pruned" and seed == plan.seeds[0] and isinstance(fitted, FittedItemWeights):
        return {**found, "smaller": _smaller(fitted, split)}
    return found


def _smaller(fitted: FittedItemWeights, split: Holdout) -> Outcome:
    """Return the figures of known users with fewer weights an item, by bytes an item."""
    weights = {size: size // BYTES_PER_WEIGHT for size in SIZES}
    cases = {
        size: by_case(goal_cases(pruned(fitted, k), split, only=("EUEI",))) for size, k in weights.items()
    }
    return {str(size): found["EUEI"]["scores"] for size, found in cases.items()}
