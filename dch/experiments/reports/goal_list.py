"""The goals of the model: each with its target, and the keys of its figure in the outcomes of jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from dch.experiments.job import look_up
from dch.experiments.jobs.goal_baselines import GOAL_BASELINES
from dch.experiments.jobs.table_protocol import DEFAULT, SCORES
from dch.experiments.reports.benchmark_lines import last_benchmark
from dch.experiments.reports.page import Spread, spread_of

Keys = tuple[str, ...]
"""The job's name within the data set, then the keys within its outcome."""

GoalOutcomes = Mapping[tuple[str, int], Mapping[str, object]]
"""The outcomes on one data set, by the job's name and seed."""

NDCG, HIT = "ndcg@20", "hit@20"


@dataclass(frozen=True)
class Goal:
    """One goal: a figure, or it beside another one, computed per seed and averaged over seeds."""

    what: str
    over: Keys
    under: Keys | tuple[Keys, ...] = ()
    """The figure to divide by, or several, of which the one with the highest mean counts; empty for none."""

    minus: Keys = ()
    """The figure to subtract; empty for none."""

    at_least: float | None = None
    at_most: float | None = None
    """Without a bound the figure is only reported."""

    unit: Literal["%", "s", "x"] = "%"

    def measured(self, found: GoalOutcomes) -> Spread | None:
        """Return the figure, over the seeds that have it; None if none has."""
        return spread_of(self._by_seed(found).values())

    def seeds(self, found: GoalOutcomes) -> list[int]:
        """Return the seeds that have the figure."""
        return [seed for seed, value in self._by_seed(found).items() if value is not None]

    def divisor(self, found: GoalOutcomes) -> Keys:
        """Return the keys of the figure to divide by: of several, that with the highest mean over seeds."""
        if not self.several():
            return cast(Keys, self.under)
        means = {keys: _mean(found, keys) for keys in self.several()}
        return max(means, key=lambda keys: means[keys])

    def several(self) -> Sequence[Keys]:
        """Return the figures of which one is divided by, empty for a goal with one figure or none."""
        return [keys for keys in self.under if not isinstance(keys, str)]

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

    def _by_seed(self, found: GoalOutcomes) -> dict[int, float | None]:
        under = self.divisor(found)
        return {seed: self._of_seed(found, seed, under) for seed in _seeds(found)}

    def _of_seed(self, found: GoalOutcomes, seed: int, under: Keys) -> float | None:
        over = _value(found, seed, self.over)
        other = _value(found, seed, under or self.minus) if under or self.minus else None
        if over is None or not (under or self.minus):
            return over
        if other is None or (under and not other):
            return None
        return over / other if under else over - other


DIGITS = {"%": 3, "s": 1, "x": 2}
"""Number of decimals, before a figure is turned into percent."""


def shown(value: float, unit: str) -> str:
    """Return a value with its unit as text."""
    if unit == "%":
        return f"{100 * value:.1f}".removesuffix(".0") + "%"
    return f"{value:.0f} s" if unit == "s" else f"{value:.2f} x"


def _seeds(found: GoalOutcomes) -> list[int]:
    return sorted({seed for _, seed in found})


def seeds_of(found: GoalOutcomes, job: str) -> list[int]:
    """Return the seeds with which a job was run."""
    return sorted(seed for name, seed in found if name == job)


def _mean(found: GoalOutcomes, keys: Keys) -> float:
    spread = spread_of(_value(found, seed, keys) for seed in _seeds(found))
    return spread.mean if spread else -1.0


def _value(found: GoalOutcomes, seed: int, keys: Keys) -> float | None:
    job, *inner = keys
    return look_up(found.get((job, seed), {}), *inner)


def _ndcg(job: str, case: str, strategy: str) -> Keys:
    return (job, "cases", case, strategy, NDCG)


def _of_ials(what: str, case: str, strategy: str, at_least: float, job: str = "codes") -> Goal:
    under = _ndcg("ials", case, SCORES)
    return Goal(f"{what}, over iALS-64", _ndcg(job, case, strategy), under, at_least=at_least)


def _of_best(case: str, at_least: float) -> Goal:
    under = tuple(_ndcg(baseline, case, SCORES) for baseline in GOAL_BASELINES)
    what = f"default list, {case}, over the best baseline of any size"
    return Goal(what, _ndcg("codes", case, DEFAULT), under, at_least=at_least)


def _common(codes: float, known: float, new: float, vectors: float) -> Sequence[Goal]:
    return (
        _of_ials("codes alone by weighted distance (8 bytes), EUEI", "EUEI", "codes-weighted", codes),
        _of_best("EUEI", known),
        _of_best("NUEI", new),
        _of_ials("fit without neighbours (72 bytes), EUEI", "EUEI", "codes+rerank", vectors, "no-neighbours"),
        _of_ials("default list, new items among themselves (EUNI-new)", "EUNI-new", DEFAULT, 1.02),
    )


GOALS: Mapping[str, Sequence[Goal]] = {
    "ml-1m": (
        *_common(0.97, 1.03, 1.02, 1.03),
        Goal(
            "items by features alone, HIT@20 among new items (reranked), minus a ridge regression's",
            ("unrated", "tested", "reranked"),
            minus=("unrated", "tested", "ridge"),
            at_least=0.01,
        ),
    ),
    "yelp": _common(0.98, 1.04, 1.08, 1.03),
    "amazon-books": _common(1.15, 1.02, 1.01, 1.27),
}
"""By data set."""


@dataclass(frozen=True)
class GoalElsewhere:
    """A goal that another command measures: the benchmark of a case, or one whose result is not kept here."""

    data: str
    what: str
    target: str
    command: str
    case: str = ""
    """In the lines of the benchmarks; empty if it is none of them."""

    items: int = 0
    at_most_ms: float = 0.0

    def measured(self) -> tuple[str, str]:
        """Return the figure with its origin, and whether the goal is met; rounded before it is compared."""
        line = last_benchmark(self.case, items=self.items) if self.case else None
        if line is None:
            return f"not measured: {self.command}", "open"
        met = round(line.ms, 1) <= self.at_most_ms
        return f"{line.ms:.1f} ms ({self.command}, commit {line.commit})", "yes" if met else "no"


ELSEWHERE: Sequence[GoalElsewhere] = (
    GoalElsewhere(
        *("1,000,000 items", "a list made, history of 200, neighbours on, one core", "<= 1 ms", "make bench"),
        case="list with neighbours, history of 200",
        items=1_000_000,
        at_most_ms=1.0,
    ),
    GoalElsewhere(
        "gowalla", "default list, recall@20, LightGCN split", ">= 18.7%", "dch evaluate --train --test"
    ),
)
"""Goals that no job measures."""


def _fit_within(seconds: float) -> Goal:
    return Goal("full fit", ("codes", "seconds"), at_most=seconds, unit="s")


CLASHING = Goal(
    "items that share a code with an item that has different raters, 64 bits",
    ("collapse", "item_sharing", "clashing"),
    at_most=0.01,
)

OTHERS: Mapping[str, Sequence[Goal]] = {
    "ml-1m": (
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
        Goal("cold items, HIT@20 (codes)", ("unrated", "tested", "codes")),
        Goal("cold items, HIT@20 (reranked)", ("unrated", "tested", "reranked")),
        Goal("cold items, HIT@20 (ridge regression)", ("unrated", "tested", "ridge")),
        Goal("cold items, HIT@20 (random lists)", ("unrated", "tested", "chance")),
        Goal(
            "cold users, NDCG@20 (features), ratio to popularity",
            ("unrated-users", "all", "features_ndcg"),
            ("unrated-users", "all", "popular_ndcg"),
            at_least=1.02,
            unit="x",
        ),
        Goal("new items among all, HIT@20 (EUNI-all)", ("codes", "cases", "EUNI-all", DEFAULT, HIT)),
        Goal("new items' share of relevant ratings", ("exposure", "even", "of_relevant")),
        CLASHING,
    ),
    "yelp": (CLASHING,),
    "amazon-books": (_fit_within(300), CLASHING),
}
"""Other figures that are wanted of a model, by data set."""
