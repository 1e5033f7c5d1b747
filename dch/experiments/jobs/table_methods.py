"""The compared methods as the tables run them: with settings that were chosen once per data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from dch.data.ratings import Ratings
from dch.experiments.baselines.scorer import Fitted
from dch.experiments.jobs.tuned_ials import ials_settings
from dch.experiments.plan import Plan

BITS = 64

Settings = dict[str, Any]

Fit = Callable[[Ratings, Settings, int], Fitted]
"""Fits to ratings, with settings and a seed."""


@dataclass(frozen=True)
class Method:
    """One compared method."""

    label: str
    """As tables show it."""

    fit: Fit
    search: str = ""
    """Whose settings it takes: one of SEARCHES, empty for none."""

    quick: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a quick run."""

    is_code: bool = False
    """Its items are codes of BITS bits."""

    floats_per_item: Callable[[Ratings], int] = lambda _: BITS
    """How many an item takes, from the training part; if it is no code."""

    def bytes_per_item(self, train: Ratings) -> int:
        """Return what one item takes."""
        return BITS // 8 if self.is_code else 4 * self.floats_per_item(train)


def settings_of(plan: Plan, name: str, method: Method) -> Settings:
    """Return the settings that a method is run with.

    Raises:
        ConfigError: the data set is too large for the method.
    """
    settings = searched(plan, name, method.search) if method.search else {}
    return {**settings, **(method.quick if plan.quick else {})}


def searched(plan: Plan, name: str, search: str) -> Settings:
    """Return the settings of a method that were best on a part of the first seed's training part.

    Found once per data set and kept in ``out/shared``, with every setting that was tried.

    Args:
        plan: what to work with.
        name: the data set.
        search: one of SEARCHES.

    Raises:
        ConfigError: the data set is too large for the method.
    """
    if search == "ials":
        return dict(ials_settings(plan, name))
    found = plan.shared(name, f"{search}-settings", lambda: _search(plan, name, search))
    return dict(cast(Mapping[str, Any], found["settings"]))


def _search(plan: Plan, name: str, search: str) -> Settings:
    from dch.experiments.baselines import tuning

    fit, grid = {"bpr": (_bpr, tuning.BPR), "ease": (_ease, tuning.EASE)}[search]

    def fit_by_name(train: Ratings, *, seed: int, **settings: float) -> Fitted:
        return fit(train, settings, seed)

    seed = plan.seeds[0]
    train = plan.split(name, seed).holdout.train
    # 8: a fit of BPR takes a minute on the largest data
    tuned = tuning.tune(fit_by_name, grid, train, seed, most_fits=1 if plan.quick else 8)
    return {"settings": tuned.settings, "tried": [one._asdict() for one in tuned.tried]}


def _popularity(train: Ratings, _: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.popularity import fit_popularity

    return fit_popularity(train, seed=seed)


def _dcf(train: Ratings, settings: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.dcf import fit_dcf

    return fit_dcf(train, bits=BITS, **settings, seed=seed)


def _ch(train: Ratings, _: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.ch import fit_ch

    return fit_ch(train, bits=BITS, seed=seed)


def _median(train: Ratings, settings: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.ials import fit_ials
    from dch.experiments.baselines.two_stage import fit_median

    return fit_median(train, fit_ials(train, **settings, seed=seed))


def _itq(train: Ratings, settings: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.ials import fit_ials
    from dch.experiments.baselines.two_stage import fit_itq

    return fit_itq(train, fit_ials(train, **settings, seed=seed), bits=BITS, seed=seed)


def _ials(train: Ratings, settings: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.ials import fit_ials

    return fit_ials(train, **settings, seed=seed)


def _bpr(train: Ratings, settings: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.bpr import fit_bpr

    return fit_bpr(train, **settings, seed=seed)


def _ease(train: Ratings, settings: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.ease import fit_ease

    return fit_ease(train, **settings, seed=seed)


def _neural_mf(train: Ratings, settings: Settings, seed: int) -> Fitted:
    from dch.experiments.baselines.neural_mf import fit_neural_mf

    return fit_neural_mf(train, **settings, seed=seed)


METHODS = {
    "popularity": Method("popularity", _popularity, floats_per_item=lambda _: 1),
    "dcf": Method("DCF", _dcf, quick={"sweeps": 3}, is_code=True),
    "ch": Method("CH", _ch, is_code=True),
    "two-stage-median": Method("two-stage, median", _median, "ials", is_code=True),
    "two-stage-itq": Method("two-stage, ITQ", _itq, "ials", is_code=True),
    "ials": Method("iALS", _ials, "ials"),
    "bpr": Method("BPR", _bpr, "bpr", floats_per_item=lambda _: BITS + 1),
    "ease": Method("EASE", _ease, "ease", floats_per_item=lambda train: len(np.unique(train.items))),
    "neural-mf": Method("NeuMF", _neural_mf, quick={"steps": 15}),
}
"""By the name that their jobs have, in the order of the tables."""

SEARCHES = ("ials", "bpr", "ease")
"""The methods whose settings are searched for."""
