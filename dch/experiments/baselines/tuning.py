"""Tune the settings of a baseline on a part of its training data, so that the comparison is fair.

The search is optuna's: settings that are known to do well come first, then what its TPE sampler proposes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.data.splits import Holdout, holdout
from dch.errors import MissingExtraError
from dch.evaluation.metrics import ndcg_at, relevance
from dch.evaluation.ranked_lists import RankingTask, make_task
from dch.evaluation.report import DEPTH
from dch.experiments.baselines.score_lists import precedences, scorer_lists
from dch.experiments.baselines.scorers import FittedBaseline
from dch.training.rating_weights import infer_scale

Settings = Mapping[str, float]

MAX_USERS = 4000
"""Users of the validation, as in the trials of a fit. All settings share them. With 1,000 users, settings of
iALS that differ by 3% of NDCG@20 on Yelp looked alike."""

TRIALS = 20
"""Trials of a search, unless it says otherwise."""

STARTUP_TRIALS = 6
"""The starts of a search count as such; the others are random."""

DIGITS = 3
"""Significant digits of a setting that is proposed."""


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


class Span(NamedTuple):
    """Numbers from low to high, which are searched by their logarithm."""

    low: float
    high: float


class Space(NamedTuple):
    """The settings that a search may try."""

    values: Mapping[str, Span | Sequence[float]]
    """A span, or the values that a setting may have."""

    starts: Sequence[Settings] = ()
    """What is tried first. With as many trials as starts, nothing else is tried."""


FLAG = (False, True)

KEPT = (16, 32, 64, 100, 200)
"""Weights that an item keeps."""

IALS = Space(
    {"graded": FLAG, "alpha": Span(1, 100), "regularization": Span(0.1, 200)},
    (
        {"graded": True, "alpha": 5.0, "regularization": 50.0},
        {"graded": False, "alpha": 20.0, "regularization": 0.1},
        {"graded": False, "alpha": 5.0, "regularization": 10.0},
        {"graded": True, "alpha": 2.5, "regularization": 50.0},
        {"graded": False, "alpha": 10.0, "regularization": 50.0},
        {"graded": True, "alpha": 40.0, "regularization": 2.0},
        {"graded": True, "alpha": 10.0, "regularization": 100.0},
        {"graded": False, "alpha": 20.0, "regularization": 100.0},
        {"graded": True, "alpha": 40.0, "regularization": 50.0},
    ),
)
"""iALS with 64 factors; the starts did well in earlier searches, or as our teacher."""

WIDE_IALS = Space(
    {"factors": (64, 128, 256), **IALS.values},
    (
        {"factors": 256, "graded": True, "alpha": 10.0, "regularization": 100.0},
        {"factors": 256, "graded": False, "alpha": 20.0, "regularization": 100.0},
        {"factors": 256, "graded": False, "alpha": 40.0, "regularization": 200.0},
        {"factors": 256, "graded": True, "alpha": 40.0, "regularization": 2.0},
        {"factors": 256, "graded": True, "alpha": 20.0, "regularization": 50.0},
        {"factors": 256, "graded": True, "alpha": 5.0, "regularization": 50.0},
        {"factors": 128, "graded": True, "alpha": 2.5, "regularization": 50.0},
        {"factors": 128, "graded": True, "alpha": 40.0, "regularization": 2.0},
    ),
)
"""iALS of any size up to 256 factors."""

BPR = Space(
    {
        "liked_only": FLAG,
        "learning_rate": Span(0.0025, 0.05),
        "regularization": Span(0.0001, 0.05),
        "iterations": (25, 50, 100, 200),
    },
    (
        {"liked_only": True, "learning_rate": 0.01, "regularization": 0.01, "iterations": 50},
        {"liked_only": False, "learning_rate": 0.01, "regularization": 0.01, "iterations": 50},
        {"liked_only": False, "learning_rate": 0.05, "regularization": 0.01, "iterations": 100},
    ),
)
"""BPR with 64 factors."""

REGULARIZATIONS = (25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0)

EASE = Space(
    {"regularization": REGULARIZATIONS}, tuple({"regularization": value} for value in REGULARIZATIONS)
)
"""EASE over rating weights; all its values are tried."""

PRUNED_EASE = Space(
    {"regularization": REGULARIZATIONS, "k": (64,)},
    tuple({"regularization": value, "k": 64} for value in REGULARIZATIONS),
)
"""EASE with 64 weights an item; all its values are tried."""

RP3BETA = Space(
    {"k": KEPT, "alpha": Span(0.5, 2), "beta": Span(0.05, 1), "graded": FLAG},
    (
        {"k": 100, "alpha": 1.0, "beta": 0.4, "graded": False},
        {"k": 100, "alpha": 1.0, "beta": 0.7, "graded": True},
    ),
)
"""RP3beta, binary as published and over rating weights."""

ITEM_CF = Space(
    {"k": KEPT, "shrinkage": Span(1, 1000), "graded": FLAG},
    (
        {"k": 100, "shrinkage": 20.0, "graded": False},
        {"k": 100, "shrinkage": 100.0, "graded": True},
    ),
)
"""Cosine of items."""


def tune(
    fit: Callable[..., FittedBaseline], space: Space, train: Ratings, seed: int = 0, *, trials: int = TRIALS
) -> TunedSettings:
    """Return the settings with the highest NDCG@20 on ratings held out of the training data.

    Args:
        fit: takes ratings, the settings by name, and ``seed``.
        space: the settings to search.
        train: the training data; the search uses no other data.
        seed: of the validation part, a fifth of the ratings, of the fits, and of what is tried.
        trials: 1 or more.

    Raises:
        MissingExtraError: optuna is not installed.
    """
    split = holdout(train, np.random.default_rng([seed, 2]), test_share=0.2, user_share=0, item_share=0)
    question = validation_question(split, seed)
    tried: list[TriedSettings] = []

    def quality(trial: Any) -> float:  # noqa: ANN401 - optuna is an optional package
        settings = {name: _propose(trial, name, values) for name, values in space.values.items()}
        before = [one for one in tried if one.settings == settings]
        tried.append(before[0] if before else _try(fit, settings, split, question, seed))
        return tried[-1].ndcg

    study = _study(seed)
    for start in space.starts:
        study.enqueue_trial(dict(start))
    study.optimize(quality, n_trials=trials)
    return TunedSettings(max(tried, key=lambda one: one.ndcg).settings, tried)


def most_rated(train: Ratings, n_items: int) -> Ratings:
    """Return the ratings of the n_items items with the most ratings, over the same id tables."""
    is_kept = np.zeros(train.n_items, np.bool_)
    is_kept[np.argsort(-train.by_item.counts(), kind="stable")[:n_items]] = True
    return train.subset(is_kept[train.items])


def _study(seed: int) -> Any:  # noqa: ANN401 - optuna is an optional package
    try:
        import optuna
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            "the search for settings needs optuna, which is not installed; "
            "run: pip install -c constraints.txt '.[experiment]'"
        ) from missing
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
    return optuna.create_study(direction="maximize", sampler=sampler)


def _propose(trial: Any, name: str, values: Span | Sequence[float]) -> float:  # noqa: ANN401
    if isinstance(values, Span):
        return float(f"{trial.suggest_float(name, *values, log=True):.{DIGITS}g}")
    chosen: float = trial.suggest_categorical(name, list(values))
    return chosen


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
