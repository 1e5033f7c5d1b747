"""A stream of ratings in order of time, cut into equal parts; the model may change between two parts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.data.splits import by_time
from dch.evaluation.prequential_stream import stream
from dch.evaluation.report import DEPTH
from dch.experiments.job import Outcome
from dch.experiments.jobs.table_protocol import relevant_from
from dch.state.prequential import COHORTS, NOT_TRIED
from dch.state.state import State

FIRST_SHARE = 0.5
"""Share of the ratings, the earliest ones, that the first fit learns from."""


@dataclass(frozen=True)
class DriftStream:
    """The ratings of a data set: those before the stream, for the first fit, then the parts of the stream."""

    ratings: Ratings
    """All ratings, oldest first."""

    starts: NDArray[np.int64]
    """(n_parts + 1,) positions where each part starts, and where the last one ends."""

    is_trial: NDArray[np.bool_]
    """(n_ratings,) whether a rating is relevant, and so is a trial: was its item listed just before?"""

    cohorts: NDArray[np.int64]
    """(n_ratings,) positions in COHORTS; new users and items have no rating before the stream."""

    @property
    def n_parts(self) -> int:
        """Number of parts of the stream."""
        return len(self.starts) - 1

    def before(self, part: int) -> Ratings:
        """Return all ratings before a part."""
        return self.ratings.subset(np.arange(self.starts[part]))

    def part(self, part: int) -> Ratings:
        """Return the ratings of a part."""
        return self.ratings.subset(np.arange(self.starts[part], self.starts[part + 1]))


def make_stream(ratings: Ratings, n_parts: int) -> DriftStream:
    """Cut the later ratings into equal parts, in order of time.

    Raises:
        RatingsError: the ratings have no timestamps.
    """
    first, rest = by_time(ratings, FIRST_SHARE)
    user_is_new, item_is_new = first.by_user.counts() == 0, first.by_item.counts() == 0
    cohorts = 2 * user_is_new[ratings.users].astype(np.int64) + item_is_new[ratings.items]
    starts = len(first) + np.arange(n_parts + 1) * len(rest) // n_parts
    return DriftStream(ratings, starts, ratings.values >= relevant_from(first), cohorts)


def serve_part(drift_stream: DriftStream, part: int, state: State) -> Outcome:
    """Test on each rating of a part before learning from it; return the number of trials and of hits.

    An item without a code at that time is a miss, so that the trials do not depend on the model.
    """
    ratings, rows = drift_stream.part(part), slice(drift_stream.starts[part], drift_stream.starts[part + 1])
    is_trial = drift_stream.is_trial[rows]
    ranks = stream(state, ratings, is_trial)
    cohorts = drift_stream.cohorts[rows][is_trial]
    return {"trials": _count(cohorts)} | {
        strategy: _count(cohorts[_is_hit(ranked[is_trial])])
        for strategy, ranked in (("codes+rerank", ranks.codes), ("popular", ranks.popular))
    }


def _is_hit(ranks: NDArray[np.int32]) -> NDArray[np.bool_]:
    listed: NDArray[np.bool_] = (ranks != NOT_TRIED) & (ranks < DEPTH)
    return listed


def _count(cohorts: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(COHORTS, np.bincount(cohorts, minlength=len(COHORTS)).tolist(), strict=True))
