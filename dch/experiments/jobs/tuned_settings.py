"""The settings of the baselines: tuned once per data set and shared by all parts of an experiment."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from dch.experiments.baselines import tuning
from dch.experiments.baselines.bpr import fit_bpr
from dch.experiments.baselines.ease import fit_ease
from dch.experiments.baselines.ials import FittedIals, fit_ials
from dch.experiments.baselines.scorers import FittedBaseline
from dch.experiments.plan import Plan

Settings = Mapping[str, Any]


class Search(NamedTuple):
    """A search for the settings of one baseline."""

    fit: Callable[..., FittedBaseline]
    grid: tuning.Grid
    max_fits: int
    max_fits_quick: int


SEARCHES: Mapping[str, Search] = {
    "ials": Search(fit_ials, tuning.IALS, tuning.MAX_FITS, 3),
    "bpr": Search(fit_bpr, tuning.BPR, 8, 1),  # 8: one fit takes a minute on the largest data set
    "ease": Search(fit_ease, tuning.EASE, 8, 1),
}
"""By the name that their jobs have."""


def tuned_settings(plan: Plan, name: str, search: str) -> Settings:
    """Return the settings of a baseline that were best on a part of the first seed's training data.

    The search runs once per data set; the job store keeps every setting that it tried.

    Args:
        plan: data, seeds and settings.
        name: the data set.
        search: a key of SEARCHES.

    Raises:
        ConfigError: the data set is too large for the method.
    """

    def run() -> Mapping[str, object]:
        fit, grid, max_fits, max_fits_quick = SEARCHES[search]
        seed = plan.seeds[0]
        train = plan.split(name, seed).holdout.train
        tuned = tuning.tune(fit, grid, train, seed, max_fits=max_fits_quick if plan.quick else max_fits)
        return {"settings": tuned.settings, "tried": [trial._asdict() for trial in tuned.tried]}

    return cast(Settings, plan.tuned(name, f"{search}-settings", run)["settings"])


def tuned_ials(plan: Plan, name: str, seed: int) -> FittedIals:
    """Return iALS-64 with tuned settings, fitted to the training part of a seed's split."""
    return fit_ials(plan.split(name, seed).holdout.train, **tuned_settings(plan, name, "ials"), seed=seed)
