"""The rival in full precision, tuned once a data set and shared by all parts of an experiment."""

from collections.abc import Mapping
from typing import Any, cast

from dch.experiments.baselines.ials import FittedIals, fit_ials
from dch.experiments.baselines.tuning import IALS, MOST_FITS, tune
from dch.experiments.plan import Plan

FEW_FITS = 3
"""Fits of a search in quick mode: the starts alone."""


def ials_settings(plan: Plan, name: str) -> Mapping[str, Any]:
    """Return the settings of iALS-64 that are best on a part of the first seed's training data."""

    def search() -> Mapping[str, object]:
        seed = plan.seeds[0]
        train = plan.split(name, seed).holdout.train
        tuned = tune(fit_ials, IALS, train, seed, most_fits=FEW_FITS if plan.quick else MOST_FITS)
        return {"settings": tuned.settings, "tried": [tried._asdict() for tried in tuned.tried]}

    return cast(Mapping[str, Any], plan.shared(name, "ials-settings", search)["settings"])


def tuned_ials(plan: Plan, name: str, seed: int) -> FittedIals:
    """Return iALS-64 with those settings, fitted to the training part of a seed's split."""
    return fit_ials(plan.split(name, seed).holdout.train, **ials_settings(plan, name), seed=seed)
