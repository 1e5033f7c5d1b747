"""Ranked lists from the scores of a baseline, for many users at once.

Scores are computed for a block of users at a time, so that no array of all users and all items exists.
"""

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.evaluation.ranked_lists import Lists, RankingTask
from dch.evaluation.report import DEPTH
from dch.experiments.baselines.scorers import BaselineScorer
from dch.jit import kernel
from dch.state.item_columns import precedence_of

BLOCK = 1 << 23
"""Scores per block, 32 MB of float32: a few hundred users of a large catalogue, enough for fast products."""


def scorer_lists(
    scorer: BaselineScorer, question: RankingTask, *, precedence: NDArray[np.int64], k: int = DEPTH
) -> Lists:
    """Return the k best candidates for each user, without what was given; precedence breaks ties.

    Candidates that score -inf are not listed. A user without any scored candidate gets the popular list: the
    candidates by precedence.

    Args:
        scorer: scores every item.
        question: the users, the candidates and the given items.
        precedence: (n_items,) larger first; see ``precedences``.
        k: length of a list.

    Returns:
        (n, k) item rows, best first, -1 past the end.
    """
    rows = np.flatnonzero(question.candidates).astype(np.int32)
    order = rows[np.argsort(-precedence[rows], kind="stable")]
    lists = np.full((len(question.users), k), -1, np.int32)
    is_given = np.zeros(len(question.candidates), np.bool_)
    block = max(1, BLOCK // len(question.candidates))
    for start in range(0, len(lists), block):
        part = slice(start, start + block)
        scores = np.ascontiguousarray(scorer(question.users[part]), np.float32)
        starts = question.given.starts[start : start + len(scores) + 1]
        _list_best(scores, order, starts, question.given.columns, is_given, lists[part])
    return lists


def precedences(ratings: Ratings, positive_from: float) -> NDArray[np.int64]:
    """Return the precedence among equal scores, (n_items,): number of positive ratings, then a checksum."""
    counts = positive_counts(ratings, positive_from)
    pairs = zip(ratings.item_ids, counts.tolist(), strict=True)
    return np.array([precedence_of(id_, count) for id_, count in pairs], np.int64)


def positive_counts(ratings: Ratings, positive_from: float) -> NDArray[np.int64]:
    """Return the number of ratings of at least positive_from for each item, (n_items,)."""
    counts: NDArray[np.int64] = np.bincount(
        ratings.items[ratings.values >= positive_from], minlength=ratings.n_items
    )
    return counts


def can_rank(scorer: BaselineScorer, question: RankingTask, *, sample: int = 100) -> bool:
    """Tell whether the scorer scores any candidate for any of the first users of the question.

    If it does not, all lists are popular lists and do not measure the baseline.
    """
    return bool(np.isfinite(scorer(question.users[:sample])[:, question.candidates]).any())


@kernel
def _list_best(
    scores: NDArray[np.float32],
    order: Lists,
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    is_given: NDArray[np.bool_],
    lists: Lists,
) -> None:
    """Fill each list; the order of the candidates breaks ties and is the list if no candidate has a score."""
    k = lists.shape[1]
    best = np.empty(k, np.float32)
    for i in range(len(lists)):
        for at in range(starts[i], starts[i + 1]):
            is_given[columns[at]] = True
        n, least = 0, np.float32(-np.inf)
        for row in order:
            score = scores[i, row]
            if score > least and not is_given[row]:
                n = _insert(best, lists[i], n, score, row)
                if n == k:
                    least = best[k - 1]
        if n == 0:
            _fill_popular(order, is_given, lists[i])
        for at in range(starts[i], starts[i + 1]):
            is_given[columns[at]] = False


@kernel
def _insert(best: NDArray[np.float32], rows: NDArray[np.int32], n: int, score: float, row: int) -> int:
    """Insert a row into a list of n, after rows of equal or higher score; return the new length."""
    rank = min(n, len(best) - 1)
    while rank > 0 and best[rank - 1] < score:
        best[rank], rows[rank] = best[rank - 1], rows[rank - 1]
        rank -= 1
    best[rank], rows[rank] = score, row
    return min(n + 1, len(best))


@kernel
def _fill_popular(order: Lists, is_given: NDArray[np.bool_], rows: NDArray[np.int32]) -> None:
    """Fill a list with the first candidates of the order, without what the user has given."""
    n = 0
    for row in order:
        if n == len(rows):
            break
        if not is_given[row]:
            rows[n] = row
            n += 1
