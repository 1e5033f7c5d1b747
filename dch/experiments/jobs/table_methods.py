"""The baselines of the tables: how each is fitted, with which settings, and the bytes per item."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dch.data.ratings import Ratings
from dch.experiments.baselines.bpr import fit_bpr
from dch.experiments.baselines.ch import fit_ch
from dch.experiments.baselines.dcf import fit_dcf
from dch.experiments.baselines.ease import fit_ease
from dch.experiments.baselines.ials import fit_ials
from dch.experiments.baselines.neural_mf import fit_neural_mf
from dch.experiments.baselines.popularity import fit_popularity
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

    is_code: bool = False
    """Whether its items are codes of BITS bits."""

    floats_per_item: Callable[[Ratings], int] = lambda _: BITS
    """Returns the number of float32 values per item for a training part; not used for codes."""

    def bytes_per_item(self, train: Ratings) -> int:
        """Return the size of one item in bytes."""
        return BITS // 8 if self.is_code else 4 * self.floats_per_item(train)


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


METHODS: Mapping[str, Method] = {
    "popularity": Method("popularity", fit_popularity, floats_per_item=lambda _: 1),
    "dcf": Method("DCF", fit_dcf, quick={"sweeps": 3}, is_code=True),
    "ch": Method("CH", fit_ch, is_code=True),
    "two-stage-median": Method("two-stage, median", _fit_median, "ials", is_code=True),
    "two-stage-itq": Method("two-stage, ITQ", _fit_itq, "ials", is_code=True),
    "ials": Method("iALS", fit_ials, "ials"),
    "bpr": Method("BPR", fit_bpr, "bpr", floats_per_item=lambda _: BITS + 1),
    "ease": Method("EASE", fit_ease, "ease", floats_per_item=lambda train: len(np.unique(train.items))),
    "neural-mf": Method("NeuMF", fit_neural_mf, quick={"steps": 15}),
}
"""By the name that their jobs have, in the order of the tables."""
