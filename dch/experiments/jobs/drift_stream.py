"""A stream in order of time, cut into equal parts: whoever serves may change between two of them."""

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
"""Of the ratings, the earliest: what the first fit learns from."""


@dataclass(frozen=True)
class Stream:
    """The ratings of a data set: a first part to fit to, then parts that come one after the other."""

    ratings: Ratings
    """All of them, oldest first."""

    starts: NDArray[np.int64]
    """(n_parts + 1,) positions at which the parts start and the last one ends."""

    is_trial: NDArray[np.bool_]
    """(n_ratings,) the relevant ones: each tells whether its item would have been listed just before."""

    cohorts: NDArray[np.int64]
    """(n_ratings,) positions in COHORTS, by whether user and item have a rating in the first part."""

    @property
    def n_parts(self) -> int:
        """Number of parts after the first."""
        return len(self.starts) - 1

    def before(self, part: int) -> Ratings:
        """Return all ratings that came before a part."""
        return self.ratings.subset(np.arange(self.starts[part]))

    def part(self, part: int) -> Ratings:
        """Return the ratings of a part."""
        return self.ratings.subset(np.arange(self.starts[part], self.starts[part + 1]))


def make_stream(ratings: Ratings, n_parts: int) -> Stream:
    """Cut ratings in order of time.

    Raises:
        RatingsError: the ratings have no time.
    """
    first, rest = by_time(ratings, FIRST_SHARE)
    user_is_new, item_is_new = first.by_user.counts() == 0, first.by_item.counts() == 0
    cohorts = 2 * user_is_new[ratings.users].astype(np.int64) + item_is_new[ratings.items]
    starts = len(first) + np.arange(n_parts + 1) * len(rest) // n_parts
    return Stream(ratings, starts, ratings.values >= relevant_from(first), cohorts)


def serve_part(stream_: Stream, part: int, state: State) -> Outcome:
    """Test, then learn, each rating of a part; return counts of trials and of hits.

    An item that has no code just then is a miss: so the trials are the same whoever serves.
    """
    ratings, places = stream_.part(part), slice(stream_.starts[part], stream_.starts[part + 1])
    is_trial = stream_.is_trial[places]
    ranks = stream(state, ratings, is_trial)
    cohorts = stream_.cohorts[places][is_trial]
    return {"trials": _count(cohorts)} | {
        strategy: _count(cohorts[_is_hit(ranked[is_trial])])
        for strategy, ranked in (("codes+rerank", ranks.codes), ("popular", ranks.popular))
    }


def _is_hit(ranks: NDArray[np.int32]) -> NDArray[np.bool_]:
    listed: NDArray[np.bool_] = (ranks != NOT_TRIED) & (ranks < DEPTH)
    return listed


def _count(cohorts: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(COHORTS, np.bincount(cohorts, minlength=len(COHORTS)).tolist(), strict=True))
