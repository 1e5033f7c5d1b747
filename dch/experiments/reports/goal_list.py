"""The goals: what is asked of the model, and where in the outcomes of jobs the figure is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dch.experiments.reports.page import Spread
from dch.experiments.reports.seeds import look_up, spread_of

Path = tuple[str, ...]
"""Job, then the keys of its outcome."""

Found = Mapping[tuple[str, int], Mapping[str, object]]
"""Outcomes on one data set, by job and seed."""

NDCG, HIT = "ndcg@20", "hit@20"


@dataclass(frozen=True)
class Goal:
    """One figure that is asked for: a value, or a ratio of two, of each seed; then the mean over seeds."""

    what: str
    over: Path
    under: Path = ()
    """What the value is divided by; empty: nothing."""

    at_least: float | None = None
    at_most: float | None = None
    """With neither bound the figure is reported, and there is nothing to meet."""

    unit: Literal["%", "s", "x"] = "%"

    def measured(self, found: Found) -> Spread | None:
        """Return the figure, over the seeds that have it."""
        return spread_of(self._of_seed(found, seed) for seed in sorted({seed for _, seed in found}))

    def asked(self) -> str:
        """Return the bound as a reader sees it."""
        if self.at_least is not None:
            return f">= {shown(self.at_least, self.unit)}"
        return f"<= {shown(self.at_most, self.unit)}" if self.at_most is not None else "report"

    def met(self, value: float) -> bool | None:
        """Say whether a figure is within the bounds as it is shown, not by digits that nobody sees."""
        value = round(value, DIGITS[self.unit])
        if self.at_least is not None:
            return value >= self.at_least
        return value <= self.at_most if self.at_most is not None else None

    def _of_seed(self, found: Found, seed: int) -> float | None:
        over = _value(found, seed, self.over)
        if over is None or not self.under:
            return over
        under = _value(found, seed, self.under)
        return over / under if under else None


DIGITS = {"%": 3, "s": 1, "x": 2}
"""Decimals of a figure before it is turned into percent."""


def shown(value: float, unit: str) -> str:
    """Return a value with its unit."""
    if unit == "%":
        return f"{100 * value:.1f}".removesuffix(".0") + "%"
    return f"{value:.0f} s" if unit == "s" else f"{value:.2f} x"


def _value(found: Found, seed: int, path: Path) -> float | None:
    job, *keys = path
    return look_up(found.get((job, seed), {}), *keys)


def _ndcg(job: str, case: str, strategy: str) -> Path:
    return (job, "cases", case, strategy, NDCG)


def _of_ials(what: str, case: str, strategy: str, at_least: float, job: str = "codes") -> Goal:
    over, under = _ndcg(job, case, strategy), _ndcg("ials", case, "scores")
    return Goal(f"{what}, share of iALS-64", over, under, at_least=at_least)


def _common(codes: float, reranked: float) -> Sequence[Goal]:
    return (
        _of_ials("codes alone, EUEI", "EUEI", "codes", codes),
        _of_ials("reranked, EUEI", "EUEI", "codes+rerank", reranked),
    )


SHARING = Goal(
    "items that share a code with an item whose raters differ, 64 bits",
    ("collapse", "item_sharing", "clashing"),
    at_most=0.01,
)


def _fit_within(seconds: float) -> Goal:
    return Goal("cold fit", ("codes", "seconds"), at_most=seconds, unit="s")


_IN_DEPTH = (
    Goal(
        "codes alone, NUEI as a share of EUEI",
        _ndcg("codes", "NUEI", "codes"),
        _ndcg("codes", "EUEI", "codes"),
        at_least=0.97,
    ),
    Goal(
        "beside it: iALS-64, NUEI as a share of EUEI",
        _ndcg("ials", "NUEI", "scores"),
        _ndcg("ials", "EUEI", "scores"),
    ),
    _of_ials("codes alone, new items among themselves (EUNI-new)", "EUNI-new", "codes", 0.92),
    _of_ials("128 bits, codes alone, EUEI", "EUEI", "codes", 0.98, "128-bits"),
    _fit_within(45),
    Goal(
        "refit after 10% more ratings, share of a cold fit's time",
        ("refit", "seconds", "warm"),
        ("refit", "seconds", "cold"),
        at_most=0.25,
    ),
    Goal(
        "the same, NDCG@20 (codes, EUEI) over a cold fit's",
        ("refit", "warm", "EUEI", "codes", NDCG),
        ("refit", "cold", "EUEI", "codes", NDCG),
        at_least=1.0,
    ),
    Goal(
        "items without ratings, HIT@20 among new items (codes), over popularity's",
        ("unrated", "tested", "codes"),
        ("unrated", "tested", "popular"),
        at_least=3.0,
        unit="x",
    ),
    Goal(
        "the same, over a list drawn by chance",
        ("unrated", "tested", "codes"),
        ("unrated", "tested", "chance"),
        unit="x",
    ),
    Goal("the same, HIT@20 itself", ("unrated", "tested", "codes")),
    Goal("new items among all, HIT@20 (codes, EUNI-all)", ("codes", "cases", "EUNI-all", "codes", HIT)),
    Goal("new items' share of relevant ratings", ("exposure", "even", "of_relevant")),
    SHARING,
)

GOALS: Mapping[str, Sequence[Goal]] = {
    "ml-1m": (*_common(0.95, 1.0), *_IN_DEPTH),
    "yelp": (*_common(0.97, 1.02), SHARING),
    "amazon-books": (*_common(0.95, 1.0), _fit_within(180), SHARING),
}
"""By data set."""
