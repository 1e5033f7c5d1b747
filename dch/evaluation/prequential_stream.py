"""Evaluate prequentially: fit on the earliest ratings, then test on each later rating before folding it in.

The code that tests and folds in is that of the live worker (``State.fold_in_users`` with trials).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.data.splits import by_time
from dch.evaluation.fit_and_serve import Fit, default_fit, events_of, serve, timed_fit, warm_up
from dch.evaluation.protocol import describe, relevance_threshold
from dch.evaluation.report import DEPTH, Measurement, MetricKey, Report, summarise
from dch.models.model import Model
from dch.questions import Strategy
from dch.state.prequential import COHORTS, NOT_TRIED, Ranks
from dch.state.state import State

CASES = (
    "a trial is a rating of relevant_from or more, of an item that has a code and that the user had not "
    "rated: would the item have been listed just before; cohorts by whether user and item are in the "
    "training part"
)

REFRESH_EVERY = 1000
"""Ratings between two updates of the item codes; a worker updates them about once a second."""


def evaluate_prequential(
    ratings: Ratings,
    config: DchConfig,
    *,
    seeds: Sequence[int] = (0,),
    share: float = 0.5,
    relevant_from: float | None = None,
    progress: bool = False,
    fit: Fit = default_fit,
) -> Report:
    """Fit on the earliest share of the ratings, then stream the rest in order of time.

    Args:
        ratings: the whole data set, with timestamps.
        config: settings of the fit; its seed is replaced.
        seeds: one fit and one stream each.
        share: share of the ratings to fit on.
        relevant_from: the lowest rating that is a trial; 0 or less makes every rating a trial, None makes
            those a trial that the model counts as positive.
        progress: show the progress of each fit and stream.
        fit: makes the model.

    Raises:
        RatingsError: the ratings have no timestamps.
        ConfigError: the share is not between 0 and 1.
    """
    train, rest = by_time(ratings, share)
    protocol = describe("prequential", ratings, config, seeds)
    warm_up(fit, config)
    measured, seconds = [], []
    for seed in seeds:
        model, fit_seconds = timed_fit(fit, train, replace(config, seed=seed), progress=progress)
        threshold = relevance_threshold(model, relevant_from)
        ranks = stream(serve(model, train), rest, rest.values >= threshold, progress=progress)
        measured.append(measure_ranks(ranks, rest, cohorts_of(model, rest), strategy=strategy_of(model)))
        seconds.append(fit_seconds)
    protocol |= {
        "share": share,
        "relevant_from": threshold if relevant_from is None else relevant_from,
        "refresh_items_every": REFRESH_EVERY,
        "averaging": "over trials, then over seeds; std over seeds (n - 1); users are distinct users tried",
        "cases": CASES,
        "trials": _trials_by_cohort(ranks, cohorts_of(model, rest)),
    }
    return Report(protocol, float(np.mean(seconds)), summarise(measured))


def stream(
    state: State,
    ratings: Ratings,
    trials: NDArray[np.bool_],
    *,
    refresh_every: int = REFRESH_EVERY,
    progress: bool = False,
) -> Ranks:
    """Test on the trials and fold in all ratings, in order.

    Args:
        state: a state that ``serve`` made from ratings with the same id tables.
        ratings: n ratings.
        trials: (n,) bool, the ratings to test on.
        refresh_every: ratings between two updates of the item codes.
        progress: show a progress bar.

    Returns:
        The rank of each rating's item, (n,) per strategy.
    """
    parts = []
    starts = range(0, len(ratings), refresh_every)
    events = events_of(state, ratings)
    for start in track(starts, description="stream", disable=not progress):
        part = events.part(start, start + refresh_every)
        parts.append(state.fold_in_users(part, trials[start : start + refresh_every]))
        state.fold_in_items(part)
        state.refresh_items()
    return Ranks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def cohorts_of(model: Model, ratings: Ratings) -> NDArray[np.int64]:
    """Return the cohort of each rating as a position in COHORTS, (n,)."""
    user_is_new = np.array([id_ not in model.user_ids for id_ in ratings.user_ids], np.bool_)
    item_is_new = np.array([id_ not in model.item_ids for id_ in ratings.item_ids], np.bool_)
    cohorts: NDArray[np.int64] = 2 * user_is_new[ratings.users].astype(np.int64) + item_is_new[ratings.items]
    return cohorts


def strategy_of(model: Model) -> Strategy:
    """Return the strategy of the lists that trials are ranked in: that which is served by default."""
    return "codes+rerank" if model.neighbours.is_empty else "codes+rerank+neighbours"


def measure_ranks(
    ranks: Ranks, ratings: Ratings, cohorts: NDArray[np.int64], *, strategy: str
) -> dict[MetricKey, Measurement]:
    """Return each metric over all trials and over each cohort with trials; a trial has one relevant item."""
    tried = ranks.codes != NOT_TRIED
    measured = {}
    for case, which in (
        ("all", tried),
        *((name, tried & (cohorts == cohort)) for cohort, name in enumerate(COHORTS)),
    ):
        users = len(np.unique(ratings.users[which]))
        for used, case_ranks in (
            (strategy, ranks.codes[which]),
            ("popular", ranks.popular[which]),
        ):
            listed = case_ranks < DEPTH
            gains = np.where(listed, 1 / np.log2(case_ranks + 2.0), 0)
            for metric, values in (("hit", listed), ("ndcg", gains), ("recall", listed)):
                if users:
                    key = MetricKey(used, case, f"{metric}@{DEPTH}")
                    measured[key] = Measurement(float(values.mean()), users)
    return measured


def _trials_by_cohort(ranks: Ranks, cohorts: NDArray[np.int64]) -> dict[str, int]:
    counts = np.bincount(cohorts[ranks.codes != NOT_TRIED], minlength=len(COHORTS))
    return dict(zip(COHORTS, counts.tolist(), strict=True))
