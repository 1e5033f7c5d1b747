"""Prequential evaluation: fit on the earliest ratings, then test on each rating before learning from it.

The lines that test and learn are those of the live worker (``State.fold_in_users`` with trials).
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
from dch.evaluation.protocol import describe, least_relevant
from dch.evaluation.report import DEPTH, Key, Measured, Report, summarise
from dch.models.model import Model
from dch.state.prequential import COHORTS, NOT_TRIED, Ranks
from dch.state.state import State

CASES = (
    "a trial is a rating of relevant_from or more, of an item that has a code and that the user had not "
    "rated: would the item have been listed just before; cohorts by whether user and item are in the "
    "training part"
)

REFRESH_EVERY = 1000
"""Ratings between two rounds of new item codes; a worker makes them about once a second."""


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
        ratings: the whole data set, with time.
        config: settings of the fit; its seed is replaced.
        seeds: one fit and stream each.
        share: of the ratings, to fit on.
        relevant_from: ratings from here on are trials; 0 or less counts every one, None those that the
            model counts as positive.
        progress: show the progress of each fit and stream.
        fit: makes the model.

    Raises:
        RatingsError: the ratings have no time.
        ConfigError: the share is not between 0 and 1.
    """
    train, rest = by_time(ratings, share)
    protocol = describe("prequential", ratings, config, seeds)
    warm_up(fit, config)
    measured, seconds = [], []
    for seed in seeds:
        model, taken = timed_fit(fit, train, replace(config, seed=seed), progress=progress)
        least = least_relevant(model, relevant_from)
        ranks = stream(serve(model, train), rest, rest.values >= least, progress=progress)
        measured.append(measure_ranks(ranks, rest, cohorts_of(model, rest)))
        seconds.append(taken)
    protocol |= {
        "share": share,
        "relevant_from": least if relevant_from is None else relevant_from,
        "refresh_items_every": REFRESH_EVERY,
        "averaging": "over trials, then over seeds; std over seeds (n - 1); users are distinct users tried",
        "cases": CASES,
        "trials": _count(ranks, cohorts_of(model, rest)),
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
    """Test on the trials, (n,) bool, and learn from everything, in order; return the ranks, (n,) each."""
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
    """Return the cohort of each rating, (n,) positions in COHORTS."""
    user_is_new = np.array([id_ not in model.user_ids for id_ in ratings.user_ids], np.bool_)
    item_is_new = np.array([id_ not in model.item_ids for id_ in ratings.item_ids], np.bool_)
    cohorts: NDArray[np.int64] = 2 * user_is_new[ratings.users].astype(np.int64) + item_is_new[ratings.items]
    return cohorts


def measure_ranks(ranks: Ranks, ratings: Ratings, cohorts: NDArray[np.int64]) -> dict[Key, Measured]:
    """Return each metric of each cohort that was tried, and of all; one item is relevant in each trial."""
    tried = ranks.codes != NOT_TRIED
    measured = {}
    for case, which in (
        ("all", tried),
        *((name, tried & (cohorts == at)) for at, name in enumerate(COHORTS)),
    ):
        users = len(np.unique(ratings.users[which]))
        for strategy, places in (("codes+rerank", ranks.codes[which]), ("popular", ranks.popular[which])):
            listed = places < DEPTH
            gains = np.where(listed, 1 / np.log2(places + 2.0), 0)
            for metric, values in (("hit", listed), ("ndcg", gains), ("recall", listed)):
                if users:
                    key = Key(strategy, case, f"{metric}@{DEPTH}")
                    measured[key] = Measured(float(values.mean()), users)
    return measured


def _count(ranks: Ranks, cohorts: NDArray[np.int64]) -> dict[str, int]:
    counts = np.bincount(cohorts[ranks.codes != NOT_TRIED], minlength=len(COHORTS))
    return dict(zip(COHORTS, counts.tolist(), strict=True))
