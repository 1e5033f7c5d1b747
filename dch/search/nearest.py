"""One exact search: the k nearest codes by Hamming distance, and their reranking by a finer score.

The kernels release the interpreter lock.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import CodeShapeError
from dch.models.codes import WORD_BITS, Words
from dch.models.towers import Floats, Ints
from dch.search.order import Integers, sort_results
from dch.search.scan import scan
from dch.search.scores import QueryScorer, score_rows

CANDIDATES = 200
"""How many of the nearest codes are reranked; more gained nothing on MovieLens."""

_NO_ROWS = np.empty(0, np.int32)
_NO_MASK = np.empty(0, np.uint8)


class Nearest(NamedTuple):
    """The results of a search, best first; three columns of one length."""

    rows: Ints
    distances: Ints
    scores: Floats

    def head(self, k: int) -> "Nearest":
        """Return the first k."""
        return Nearest(self.rows[:k], self.distances[:k], self.scores[:k])


def nearest(
    words: Words,
    query: Words,
    k: int,
    *,
    skip: Ints | None = None,
    eligible: NDArray[np.bool_] | None = None,
    popularity: Integers | None = None,
    bits: int | None = None,
) -> Nearest:
    """Find the k nearest codes among those that are eligible and not skipped.

    Order: distance, then popularity descending, then row.

    Args:
        words: (n, n_words) uint64.
        query: (n_words,) uint64.
        k: list length, 0 or more.
        skip: (m,) int32 rows never to return, in any order.
        eligible: (n,) bool.
        popularity: (n,) int32 or int64.
        bits: length of a code; only the score depends on it; default 64 * n_words.

    Returns:
        min(k, n eligible) results. The score is bits - 2 * distance.

    Raises:
        CodeShapeError: query, eligible or popularity do not fit the words.
    """
    n, n_words = words.shape
    _check_shapes(n, n_words, query, eligible, popularity)
    size = min(k, n)
    result = Nearest(np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.float32))
    found = scan(
        np.ascontiguousarray(words),
        np.ascontiguousarray(query),
        size,
        _NO_MASK if eligible is None else np.ascontiguousarray(eligible).view(np.uint8),
        _NO_ROWS if skip is None else _sorted(skip),
        _NO_ROWS if popularity is None else popularity,
        *result,
    )
    if bits is not None:
        result.scores[:] -= WORD_BITS * n_words - bits  # the padding bits agree everywhere: leave them out
    return result.head(found)


def rerank(
    candidates: Nearest, k: int, scorer: QueryScorer, *, popularity: Integers | None = None
) -> Nearest:
    """Score candidates anew, sort them by the new score, and return the best k.

    Strategy ``codes+rerank`` is a search for the ``CANDIDATES`` nearest (or k, if that is more), then this.
    Order: score descending, then distance, then popularity descending, then row.

    Args:
        candidates: results of ``nearest``; not changed.
        k: list length.
        scorer: see ``dch.search.scores.make_scorer``.
        popularity: (n,) int32 or int64.
    """
    ordered = Nearest(candidates.rows.copy(), candidates.distances.copy(), candidates.scores.copy())
    score_rows(ordered.rows, scorer, ordered.scores)
    sort_results(True, len(ordered.rows), *ordered, _NO_ROWS if popularity is None else popularity)
    return ordered.head(k)


def _sorted(skip: Ints) -> Ints:
    rows: Ints = np.sort(skip).astype(np.int32, copy=False)
    return rows


def _check_shapes(
    n: int,
    n_words: int,
    query: Words,
    eligible: NDArray[np.bool_] | None,
    popularity: Integers | None,
) -> None:
    if query.shape != (n_words,):
        raise CodeShapeError(f"codes have {n_words} words, but the query has shape {query.shape}")
    for name, column in (("eligible", eligible), ("popularity", popularity)):
        if column is not None and column.shape != (n,):
            raise CodeShapeError(f"{name} must have one value for each of {n} codes, got {column.shape}")
