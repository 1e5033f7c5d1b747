"""The baselines of the tables: how each is fitted, with which settings, and the bytes per item."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dch.data.ratings import Ratings
from dch.experiments.baselines.bpr import fit_bpr
from dch.experiments.baselines.ch import fit_ch
from dch.experiments.baselines.dcf import fit_dcf
from dch.experiments.baselines.ease import fit_ease, fit_pruned_ease
from dch.experiments.baselines.ials import fit_ials
from dch.experiments.baselines.item_cf import fit_item_cf
from dch.experiments.baselines.item_weights import BYTES_PER_WEIGHT
from dch.experiments.baselines.neural_mf import fit_neural_mf
from dch.experiments.baselines.popularity import fit_popularity
from dch.experiments.baselines.rp3beta import fit_rp3beta
from dch.experiments.baselines.scorers import FittedBaseline
from dch.experiments.baselines.two_stage import fit_itq, fit_median
from dch.experiments.jobs.tuned_settings import Settings, tuned_settings
from dch.experiments.plan import Plan

BITS = 64


@dataclass(frozen=True)
class Method:
    """One baseline."""

    label: str
    """Name in the tables."""

    fit: Callable[..., FittedBaseline]
    """Fits to ratings, with settings and ``seed`` by name."""

    search: str = ""
    """The search for its settings: a key of SEARCHES; empty for none."""

    quick: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a quick run."""

    published: str = ""
    """Name in the published tables; empty if it is not there."""

    is_code: bool = False
    """Whether its items are codes of BITS bits."""

    size: Callable[[Ratings, Settings], int] = lambda _, settings: 4 * settings.get("factors", BITS)
    """Returns the bytes per item for a training part and settings; not used for codes."""

    def bytes_per_item(self, train: Ratings, settings: Settings) -> int:
        """Return the size of one item in bytes."""
        return BITS // 8 if self.is_code else self.size(train, settings)


def settings_of(plan: Plan, name: str, method: Method) -> Settings:
    """Return the settings that a method is run with on a data set.

    Raises:
        ConfigError: the data set is too large for the method.
    """
    settings = tuned_settings(plan, name, method.search) if method.search else {}
    return {**settings, **(method.quick if plan.quick else {})}


def _fit_median(train: Ratings, *, seed: int, **settings: Any) -> FittedBaseline:  # noqa: ANN401
    return fit_median(train, fit_ials(train, **settings, seed=seed))


def _fit_itq(train: Ratings, *, seed: int, **settings: Any) -> FittedBaseline:  # noqa: ANN401
    return fit_itq(train, fit_ials(train, **settings, seed=seed), bits=BITS, seed=seed)


def _strongest_weights(_: Ratings, settings: Settings) -> int:
    return BYTES_PER_WEIGHT * int(settings["k"])


METHODS: Mapping[str, Method] = {
    "popularity": Method("popularity", fit_popularity, size=lambda *_: 4),
    "dcf": Method("DCF", fit_dcf, published="DCF", quick={"sweeps": 3}, is_code=True),
    "ch": Method("CH-like", fit_ch, published="CH", is_code=True),
    "two-stage-median": Method("two-stage, median", _fit_median, "ials", is_code=True),
    "two-stage-itq": Method("two-stage, ITQ", _fit_itq, "ials", is_code=True),
    "ials": Method("iALS-64", fit_ials, "ials"),
    "ials-wide": Method("iALS, up to 256 factors", fit_ials, "ials-wide"),
    "bpr": Method("BPR", fit_bpr, "bpr", size=lambda *_: 4 * (BITS + 1)),
    "ease": Method("EASE", fit_ease, "ease", size=lambda train, _: 4 * len(np.unique(train.items))),
    "ease-pruned": Method("EASE, strongest weights", fit_pruned_ease, "ease-pruned", size=_strongest_weights),
    "rp3beta": Method("RP3beta", fit_rp3beta, "rp3beta", size=_strongest_weights),
    "item-cf": Method("ItemCF", fit_item_cf, "item-cf", size=_strongest_weights),
    "neural-mf": Method("NeuMF", fit_neural_mf, quick={"steps": 15}),
}
"""By the name that their jobs have, in the order of the tables."""
