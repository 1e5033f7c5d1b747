"""The goals of the model: each with its target, and the keys of its figure in the outcomes of jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dch.experiments.job import look_up
from dch.experiments.reports.page import Spread, spread_of

Keys = tuple[str, ...]
"""The job's name within the data set, then the keys within its outcome."""

GoalOutcomes = Mapping[tuple[str, int], Mapping[str, object]]
"""The outcomes on one data set, by the job's name and seed."""

NDCG, HIT = "ndcg@20", "hit@20"


@dataclass(frozen=True)
class Goal:
    """One goal: a figure or a ratio of two figures, computed per seed and averaged over seeds."""

    what: str
    over: Keys
    under: Keys = ()
    """The figure to divide by; empty for none."""

    at_least: float | None = None
    at_most: float | None = None
    """Without a bound the figure is only reported."""

    unit: Literal["%", "s", "x"] = "%"

    def measured(self, found: GoalOutcomes) -> Spread | None:
        """Return the figure, over the seeds that have it; None if none has."""
        return spread_of(self._of_seed(found, seed) for seed in sorted({seed for _, seed in found}))

    def target(self) -> str:
        """Return the bound as text."""
        if self.at_least is not None:
            return f">= {shown(self.at_least, self.unit)}"
        return f"<= {shown(self.at_most, self.unit)}" if self.at_most is not None else "report"

    def met(self, value: float) -> bool | None:
        """Tell whether a figure, rounded as shown, is within the bound; None if there is no bound."""
        value = round(value, DIGITS[self.unit])
        if self.at_least is not None:
            return value >= self.at_least
        return value <= self.at_most if self.at_most is not None else None

    def _of_seed(self, found: GoalOutcomes, seed: int) -> float | None:
        over = _value(found, seed, self.over)
        if over is None or not self.under:
            return over
        under = _value(found, seed, self.under)
        return over / under if under else None


DIGITS = {"%": 3, "s": 1, "x": 2}
"""Number of decimals, before a figure is turned into percent."""


def shown(value: float, unit: str) -> str:
    """Return a value with its unit as text."""
    if unit == "%":
        return f"{100 * value:.1f}".removesuffix(".0") + "%"
    return f"{value:.0f} s" if unit == "s" else f"{value:.2f} x"


def _value(found: GoalOutcomes, seed: int, keys: Keys) -> float | None:
    job, *inner = keys
    return look_up(found.get((job, seed), {}), *inner)


def _ndcg(job: str, case: str, strategy: str) -> Keys:
    return (job, "cases", case, strategy, NDCG)


def _of_ials(what: str, case: str, strategy: str, at_least: float, job: str = "codes") -> Goal:
    over, under = _ndcg(job, case, strategy), _ndcg("ials", case, "scores")
    return Goal(f"{what}, share of iALS-64", over, under, at_least=at_least)


def _common(codes: float, weighted: float, reranked: float) -> Sequence[Goal]:
    return (
        _of_ials("codes alone, EUEI", "EUEI", "codes", codes),
        _of_ials("codes alone by weighted distance, EUEI", "EUEI", "codes-weighted", weighted),
        _of_ials("reranked, EUEI", "EUEI", "codes+rerank", reranked),
    )


CLASHING = Goal(
    "items that share a code with an item that has different raters, 64 bits",
    ("collapse", "item_sharing", "clashing"),
    at_most=0.01,
)


def _fit_within(seconds: float) -> Goal:
    return Goal("full fit", ("codes", "seconds"), at_most=seconds, unit="s")


_IN_DEPTH = (
    Goal(
        "codes alone, NUEI, share of EUEI",
        _ndcg("codes", "NUEI", "codes"),
        _ndcg("codes", "EUEI", "codes"),
        at_least=0.97,
    ),
    Goal(
        "baseline iALS-64, NUEI, share of EUEI",
        _ndcg("ials", "NUEI", "scores"),
        _ndcg("ials", "EUEI", "scores"),
    ),
    _of_ials("codes alone, new items among themselves (EUNI-new)", "EUNI-new", "codes", 0.92),
    _of_ials("128 bits, codes alone, EUEI", "EUEI", "codes", 0.98, "128-bits"),
    _fit_within(45),
    Goal(
        "refit after 10% more ratings, share of the time of a full fit",
        ("refit", "seconds", "warm"),
        ("refit", "seconds", "cold"),
        at_most=0.25,
    ),
    Goal(
        "refit after 10% more ratings, share of the NDCG@20 of a full fit (codes, EUEI)",
        ("refit", "warm", "EUEI", "codes", NDCG),
        ("refit", "cold", "EUEI", "codes", NDCG),
        at_least=1.0,
    ),
    Goal(
        "cold items, HIT@20 (codes), ratio to popularity",
        ("unrated", "tested", "codes"),
        ("unrated", "tested", "popular"),
        at_least=3.0,
        unit="x",
    ),
    Goal(
        "cold items, HIT@20 (codes), ratio to random lists",
        ("unrated", "tested", "codes"),
        ("unrated", "tested", "chance"),
        unit="x",
    ),
    Goal("cold items, HIT@20 (codes)", ("unrated", "tested", "codes")),
    Goal(
        "cold items, HIT@20 (reranked), ratio to ridge regression from the same features",
        ("unrated", "tested", "reranked"),
        ("unrated", "tested", "ridge"),
        at_least=1.02,
        unit="x",
    ),
    Goal(
        "cold users, NDCG@20 (features), ratio to popularity",
        ("unrated-users", "all", "features_ndcg"),
        ("unrated-users", "all", "popular_ndcg"),
        at_least=1.02,
        unit="x",
    ),
    Goal("new items among all items, HIT@20 (codes, EUNI-all)", ("codes", "cases", "EUNI-all", "codes", HIT)),
    Goal("new items' share of relevant ratings", ("exposure", "even", "of_relevant")),
    CLASHING,
)

GOALS: Mapping[str, Sequence[Goal]] = {
    "ml-1m": (*_common(0.95, 0.97, 1.0), *_IN_DEPTH),
    "yelp": (*_common(0.97, 0.98, 1.02), CLASHING),
    "amazon-books": (*_common(0.95, 1.15, 1.0), _fit_within(180), CLASHING),
}
"""By data set."""
