"""The gate: whether a new model may replace the one in service, by NDCG@20 on ratings new to both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.evaluation.fit_and_serve import serve
from dch.evaluation.prequential_stream import stream
from dch.models.model import Model
from dch.state.prequential import NOT_TRIED

K = 20

MIN_NEWEST = 200
"""Fewest ratings to hold back: with fewer, two models differ by chance alone."""

NEWEST_SHARE = 0.1
"""Share of the new ratings that is held back to measure on; the fit learns from the others."""

MIN_TRIALS = 20
"""Fewest trials that count as a measurement."""

PUBLISHED, REJECTED, UNMEASURED, FAILED = "published", "rejected", "unmeasured", "failed"
"""The outcomes of a fit."""


@dataclass(frozen=True)
class FitResult:
    """The outcome of a fit."""

    outcome: str = PUBLISHED
    """``published`` if the model is to be published; ``rejected``, ``unmeasured`` or ``failed``."""

    reason: str = ""
    """Why the fit failed, or why nothing was measured; otherwise empty."""

    is_permanent: bool = False
    """Whether every later fit would fail, too: a package is missing, or a setting is invalid."""

    candidate: float | None = None
    """NDCG@20 of the new model on the held-back ratings, before the last update; None if not measured."""

    in_service: float | None = None
    """NDCG@20 of the model in service on the same ratings."""


def hold_back(ratings: Ratings, is_new: NDArray[np.bool_]) -> tuple[Ratings, Ratings | None]:
    """Split off the newest of the ratings that the model in service has not seen, to compare both models.

    Args:
        ratings: oldest first.
        is_new: (n,) whether the model in service has not seen a rating.

    Returns:
        The ratings to fit, and the ratings to measure on: a tenth of the new ones, but at least
        ``MIN_NEWEST``; None if fewer are new.
    """
    new = np.flatnonzero(is_new)
    if len(new) < MIN_NEWEST or len(ratings) == MIN_NEWEST:
        return ratings, None
    held = np.zeros(len(ratings), np.bool_)
    held[new[-max(int(len(new) * NEWEST_SHARE), MIN_NEWEST) :]] = True
    return ratings.subset(~held), ratings.subset(held)


def too_few_new() -> FitResult:
    """Return the result where nothing was held back."""
    return FitResult(UNMEASURED, f"the model in service has seen all ratings but fewer than {MIN_NEWEST}")


def judge(candidate: Model, current: Model, ratings: Ratings, newest: Ratings, margin: float) -> FitResult:
    """Decide whether a new model is to be published: its NDCG@20 is lower by ``margin`` at most.

    Args:
        candidate: the new model, fitted on ``ratings``.
        current: the model in service.
        ratings: the ratings that both models start from.
        newest: the held-back ratings, over the same ids.
        margin: how much worse the new model may be.
    """
    figures = compare(candidate, current, ratings, newest)
    if figures is None:
        return FitResult(
            UNMEASURED,
            f"of the {len(newest)} newest ratings, fewer than {MIN_TRIALS} are positive and of an item that "
            "one of the models can rank",
        )
    outcome = PUBLISHED if figures[0] >= figures[1] - margin else REJECTED
    return FitResult(outcome, candidate=figures[0], in_service=figures[1])


def compare(
    candidate: Model, current: Model, ratings: Ratings, newest: Ratings
) -> tuple[float, float] | None:
    """Measure two models on the newest ratings: test on each rating, then apply it, as a worker does.

    Both models start from all of ``ratings``. They may differ in which ratings are positive, so both are
    measured with the one's idea of positive, and with the other's. Within each, both are tested on the same
    events: an event that a model cannot rank counts as a miss of that model.

    Returns:
        NDCG@20 of the new model and of the model in service, with that idea of positive with which the new
        model compares worse; None if fewer than ``MIN_TRIALS`` events can be ranked with either.
    """
    models = (candidate, current)
    trials = newest.values >= min(model.positive_from for model in models)
    codes = [stream(serve(model, ratings), newest, trials).codes for model in models]
    tried = (codes[0] != NOT_TRIED) | (codes[1] != NOT_TRIED)
    views = [tried & (newest.values >= model.positive_from) for model in models]
    figures = [
        (_ndcg(codes[0][view]), _ndcg(codes[1][view]))
        for view in views
        if np.count_nonzero(view) >= MIN_TRIALS
    ]
    return min(figures, key=lambda pair: pair[0] - pair[1], default=None)


def _ndcg(ranks: NDArray[np.int64]) -> float:
    listed = (ranks != NOT_TRIED) & (ranks < K)
    return float(np.mean(np.where(listed, 1 / np.log2(np.maximum(ranks, 0) + 2.0), 0.0)))
