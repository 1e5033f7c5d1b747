"""Tune the settings of a baseline on a part of its training data, so that the comparison is fair.

The search is hill climbing on a grid: it tries every start, then moves from the best settings to the best
of their neighbours, which differ in one setting by one step. It ends when no neighbour is better, or at the
maximal number of fits.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.data.splits import Holdout, holdout
from dch.errors import ConfigError
from dch.evaluation.metrics import ndcg_at, relevance
from dch.evaluation.ranked_lists import RankingTask, make_task
from dch.evaluation.report import DEPTH
from dch.experiments.baselines.score_lists import precedences, scorer_lists
from dch.experiments.baselines.scorers import FittedBaseline
from dch.training.rating_weights import infer_scale

Settings = Mapping[str, float]

MAX_USERS = 1000
"""Users of the validation: the standard error of NDCG@20 is then below 0.01, and all settings share them."""

MAX_FITS = 15


class TriedSettings(NamedTuple):
    """Settings that a search tried."""

    settings: Settings
    ndcg: float
    """NDCG@20 on the validation part."""

    fit_s: float


class TunedSettings(NamedTuple):
    """The result of a search."""

    settings: Settings
    tried: list[TriedSettings]
    """In the order of the search."""


@dataclass(frozen=True)
class Grid:
    """The settings that a search may try."""

    values: Mapping[str, Sequence[float]]
    """The values of each setting, ordered so that neighbours behave alike."""

    starts: Sequence[Settings]
    """The starts of the search, each on the grid."""

    def __post_init__(self) -> None:
        for start in self.starts:
            for name, values in self.values.items():
                if start.get(name) not in values:
                    raise ConfigError(f"{name} of a start must be one of {values}, got {start.get(name)}")

    def neighbours(self, settings: Settings) -> Iterator[Settings]:
        """Yield the settings that differ from these in one setting by one step."""
        for name, values in self.values.items():
            at = values.index(settings[name])
            for near in (at - 1, at + 1):
                if 0 <= near < len(values):
                    yield {**settings, name: values[near]}


IALS = Grid(
    {
        "graded": (False, True),
        "alpha": (1.0, 2.5, 5.0, 10.0, 20.0, 40.0),
        "regularization": (0.1, 0.5, 2.0, 10.0, 25.0, 50.0, 100.0, 200.0),
    },
    (
        {"graded": True, "alpha": 5.0, "regularization": 50.0},
        {"graded": False, "alpha": 20.0, "regularization": 0.1},
        {"graded": False, "alpha": 5.0, "regularization": 10.0},
    ),
)
"""iALS with 64 factors; the starts did well on dense and on sparse data."""

BPR = Grid(
    {
        "liked_only": (False, True),
        "learning_rate": (0.0025, 0.005, 0.01, 0.02, 0.05),
        "regularization": (0.0001, 0.001, 0.01, 0.05),
        "iterations": (25, 50, 100, 200),
    },
    (
        {"liked_only": True, "learning_rate": 0.01, "regularization": 0.01, "iterations": 50},
        {"liked_only": False, "learning_rate": 0.01, "regularization": 0.01, "iterations": 50},
        {"liked_only": False, "learning_rate": 0.05, "regularization": 0.01, "iterations": 100},
    ),
)
"""BPR with 64 factors."""

EASE = Grid(
    {"regularization": (50.0, 200.0, 800.0)},
    tuple({"regularization": value} for value in (50.0, 200.0, 800.0)),
)
"""EASE over rating weights; all three values are starts."""


def tune(
    fit: Callable[..., FittedBaseline], grid: Grid, train: Ratings, seed: int = 0, *, max_fits: int = MAX_FITS
) -> TunedSettings:
    """Return the settings with the highest NDCG@20 on ratings held out of the training data.

    Args:
        fit: takes ratings, the settings by name, and ``seed``.
        grid: the settings to search; every start is tried.
        train: the training data; the search uses no other data.
        seed: of the validation part, a fifth of the ratings, and of the fits.
        max_fits: maximal number of fits, except that every start is tried.

    Raises:
        ConfigError: there are no starts.
    """
    if not grid.starts:
        raise ConfigError("a search needs at least one start, got none")
    split = holdout(train, np.random.default_rng([seed, 2]), test_share=0.2, user_share=0, item_share=0)
    question = validation_question(split, seed)
    tried: dict[tuple[float, ...], TriedSettings] = {}

    def attempt(candidates: Sequence[Settings]) -> TriedSettings:
        for settings in candidates:
            key = tuple(settings[name] for name in grid.values)
            if key not in tried and (len(tried) < max_fits or settings in grid.starts):
                tried[key] = _try(fit, settings, split, question, seed)
        return max(tried.values(), key=lambda one: one.ndcg)

    best, before = attempt(grid.starts), None
    while best is not before:
        best, before = attempt(list(grid.neighbours(best.settings))), best
    return TunedSettings(best.settings, list(tried.values()))


def validation_question(split: Holdout, seed: int) -> RankingTask:
    """Return the task of ranking all training items for at most MAX_USERS users."""
    train, test = split.train, split.test
    least = infer_scale(train.values, DchConfig(), graded=False, users=train.users).positive_from
    known_users, known_items = train.by_user.counts() > 0, train.by_item.counts() > 0
    test = test.subset(known_items[test.items] & known_users[test.users] & (test.values >= least))
    users = np.unique(test.users)
    sampled = np.random.default_rng([seed, 3]).permutation(users)[:MAX_USERS]
    is_asked = np.zeros(train.n_users, np.bool_)
    is_asked[sampled] = True
    return make_task(is_asked, known_items, given=[train], test=test, relevant_from=least)


def _try(
    fit: Callable[..., FittedBaseline], settings: Settings, split: Holdout, question: RankingTask, seed: int
) -> TriedSettings:
    started = time.perf_counter()
    fitted = fit(split.train, **settings, seed=seed)
    fit_s = time.perf_counter() - started
    scorer = fitted.fold_in(split.train.subset(np.zeros(len(split.train), np.bool_)))
    least = infer_scale(split.train.values, DchConfig(), graded=False, users=split.train.users).positive_from
    lists = scorer_lists(scorer, question, precedence=precedences(split.train, least))
    found = relevance(lists, *question.relevant)
    return TriedSettings(
        settings, float(ndcg_at(DEPTH, found, np.diff(question.relevant.starts)).mean()), fit_s
    )
