"""Lists by larger codes and vectors, and by smaller iALS: points of the plot of quality by size."""

from dataclasses import replace

from dch.experiments.baselines.ials import fit_ials
from dch.experiments.job import Outcome
from dch.experiments.jobs.table_protocol import by_case, goal_cases
from dch.experiments.jobs.tuned_settings import tuned_settings
from dch.experiments.plan import Plan

LONG_BITS, LONG_VECTOR = 128, 120
"""16 bytes of code and 120 of ranking vector: 136 bytes an item."""

FACTORS = (2, 4, 18, 34)
"""As many floats as fit in 8, 16, 72 and 136 bytes."""


def long_vectors(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure codes of 16 bytes, and lists of 136 bytes an item; without neighbours."""
    config = replace(plan.config, vector_size=LONG_VECTOR, neighbours=0)
    model, seconds = replace(plan, config=config).model(name, seed, bits=LONG_BITS)
    measured = goal_cases(model, plan.split(name, seed).holdout, n_threads=plan.config.threads)
    return {"cases": by_case(measured), "seconds": seconds}


def narrow_ials(plan: Plan, name: str, seed: int) -> Outcome:
    """Measure iALS with FACTORS, with the settings tuned for 64 factors, for known users."""
    settings, split = tuned_settings(plan, name, "ials"), plan.split(name, seed).holdout
    cases = {}
    for factors in FACTORS:
        fitted = fit_ials(split.train, **settings, factors=factors, seed=seed)
        cases[str(4 * factors)] = by_case(goal_cases(fitted, split, only=("EUEI",)))["EUEI"]["scores"]
    return {"smaller": cases}
