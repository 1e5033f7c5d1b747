"""The settings of the baselines: tuned once per data set and shared by all parts of an experiment."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from dch.experiments.baselines import tuning
from dch.experiments.baselines.bpr import fit_bpr
from dch.experiments.baselines.ease import check_size, fit_ease, fit_pruned_ease
from dch.experiments.baselines.ials import FittedIals, fit_ials
from dch.experiments.baselines.item_cf import fit_item_cf
from dch.experiments.baselines.rp3beta import fit_rp3beta
from dch.experiments.baselines.scorers import FittedBaseline
from dch.experiments.baselines.tuning import TRIALS
from dch.experiments.plan import Plan

Settings = Mapping[str, Any]


class Search(NamedTuple):
    """A search for the settings of one baseline."""

    fit: Callable[..., FittedBaseline]
    space: tuning.Space
    trials: int = TRIALS
    trials_of_large: int = TRIALS
    """Trials on catalogues on which a trial takes about a minute."""

    large_from: int = 10_000
    """Items of such a catalogue."""

    of_most_rated: int | None = None
    """The search is run on the ratings of so many items, those with the most ratings; None for all."""

    whole_up_to: int = 0
    """With at most this many items, it is run on all of them in any case."""

    quick_trials: int = 1

    check_size: Callable[[int], None] = lambda _: None
    """Takes the number of items of a training part; raises ConfigError if a fit would be too large."""

    def trials_on(self, n_items: int) -> int:
        """Return the number of trials on a training part with so many items."""
        return self.trials_of_large if n_items >= self.large_from else self.trials


SEARCHES: Mapping[str, Search] = {
    "ials": Search(
        fit_ials, tuning.IALS, trials_of_large=len(tuning.IALS.starts), large_from=20_000, quick_trials=3
    ),
    "ials-wide": Search(fit_ials, tuning.WIDE_IALS, trials_of_large=8),
    "bpr": Search(fit_bpr, tuning.BPR, trials_of_large=8),
    "ease": Search(
        fit_ease,
        tuning.EASE,
        len(tuning.EASE.starts),
        len(tuning.EASE.starts),
        of_most_rated=6_000,
        whole_up_to=6_000,
        check_size=check_size,
    ),
    "ease-pruned": Search(
        fit_pruned_ease,
        tuning.PRUNED_EASE,
        len(tuning.PRUNED_EASE.starts),
        len(tuning.PRUNED_EASE.starts),
        of_most_rated=12_000,
        whole_up_to=20_000,
    ),
    "rp3beta": Search(fit_rp3beta, tuning.RP3BETA),
    "item-cf": Search(fit_item_cf, tuning.ITEM_CF),
}
"""By the name that their jobs have."""


class Tuned(NamedTuple):
    """What a search found."""

    settings: Settings
    n_trials: int


def tuned(plan: Plan, name: str, search: str) -> Tuned:
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
        of, seed = SEARCHES[search], plan.seeds[0]
        train = plan.split(name, seed).holdout.train
        n_items = int((train.by_item.counts() > 0).sum())
        of.check_size(n_items)
        trials = of.quick_trials if plan.quick else of.trials_on(n_items)
        part = train
        if of.of_most_rated is not None and n_items > of.whole_up_to:
            part = tuning.most_rated(train, of.of_most_rated)
        found = tuning.tune(of.fit, of.space, part, seed, trials=trials)
        return {"settings": found.settings, "tried": [trial._asdict() for trial in found.tried]}

    found = plan.tuned(name, f"{search}-settings", run)
    return Tuned(cast(Settings, found["settings"]), len(cast(list[object], found["tried"])))


def tuned_settings(plan: Plan, name: str, search: str) -> Settings:
    """Return the settings alone; see ``tuned``."""
    return tuned(plan, name, search).settings


def tuned_ials(plan: Plan, name: str, seed: int) -> FittedIals:
    """Return iALS-64 with tuned settings, fitted to the training part of a seed's split."""
    return fit_ials(plan.split(name, seed).holdout.train, **tuned_settings(plan, name, "ials"), seed=seed)
