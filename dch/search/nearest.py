"""Exact searches: the k nearest codes by Hamming distance, plain or weighted, and their reranking.

The kernels release the interpreter lock.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import CodeShapeError
from dch.jit import kernel
from dch.models.codes import WORD_BITS, Vectors, Words
from dch.models.towers import Floats, Ints
from dch.search.order import Integers, sort_results
from dch.search.scan import Criteria, no_work, room_for, scan, sort_kept
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
        query: (n_words,) uint64, or (2 * n_words,) for weighted distances; see ``dch.search.query_words``.
        k: list length, 0 or more.
        skip: (m,) int32 rows never to return, in any order.
        eligible: (n,) bool.
        popularity: (n,) int32 or int64.
        bits: length of a code; only the score depends on it; default 64 * n_words.

    Returns:
        min(k, n eligible) results. The score is bits - 2 * distance: the number of equal bits minus that of
        different bits. With weights, it is the same in weights, so 3 / 2 * bits - 2 * distance.

    Raises:
        CodeShapeError: query, eligible or popularity do not fit the words.
    """
    skips = [_NO_ROWS if skip is None else skip]
    (found,) = nearest_of_each(
        words, query[None], [k], skips=skips, eligible=eligible, popularity=popularity, bits=bits
    )
    return found


def nearest_of_each(
    words: Words,
    queries: Words,
    sizes: Sequence[int],
    *,
    skips: Sequence[Ints],
    eligible: NDArray[np.bool_] | None = None,
    popularity: Integers | None = None,
    bits: int | None = None,
) -> list[Nearest]:
    """Find the nearest codes of several queries, each as ``nearest`` does, in one pass over the codes.

    Args:
        words: (n, n_words) uint64.
        queries: (n_queries, n_words) or (n_queries, 2 * n_words) uint64.
        sizes: list length of each query.
        skips: for each query int32 rows never to return, in any order.
        eligible: (n,) bool.
        popularity: (n,) int32 or int64.
        bits: length of a code; only the score depends on it; default 64 * n_words.

    Raises:
        CodeShapeError: queries, eligible or popularity do not fit the words.
    """
    n, n_words = words.shape
    _check_shapes(n, n_words, queries, eligible, popularity)
    rows, distances, found = _search(
        np.ascontiguousarray(words),
        np.ascontiguousarray(queries),
        np.array(sizes, np.int64),
        _NO_MASK if eligible is None else np.ascontiguousarray(eligible).view(np.uint8),
        np.array([0, *accumulate(map(len, skips))]),
        np.concatenate([_NO_ROWS, *skips]).astype(np.int32, copy=False),
        _NO_ROWS if popularity is None else popularity,
    )
    total = bits or WORD_BITS * n_words
    total += total // 2 if queries.shape[1] > n_words else 0
    scores = (total - 2 * distances).astype(np.float32)
    columns = zip(rows, distances, scores, found.tolist(), strict=True)
    return [Nearest(*result).head(size) for *result, size in columns]


@kernel
def _search(
    words: Words,
    queries: Words,
    sizes: NDArray[np.int64],
    allowed: NDArray[np.uint8],
    skip_starts: NDArray[np.int64],
    skip_rows: Ints,
    popularity: Integers,
) -> tuple[Ints, Ints, NDArray[np.int64]]:
    """Return rows and distances, (n_queries, k) each, and how many of each line were found.

    Takes arrays alone, since a call of a kernel from Python takes longer with named tuples of arrays.
    """
    for i in range(len(queries)):
        skip_rows[skip_starts[i] : skip_starts[i + 1]].sort()
    sizes = np.minimum(sizes, len(words))
    criteria = Criteria(sizes, allowed, skip_starts, skip_rows, popularity)
    kept = room_for(len(queries), int(np.max(sizes)) if len(sizes) > 0 else 0, len(words))
    scan(words, queries, criteria, kept, no_work())
    sort_kept(kept, popularity)
    return kept.rows, kept.distances, kept.found


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
    order = _NO_ROWS if popularity is None else popularity
    words, vectors, table, rounded, step = scorer  # arrays alone: see ``_search``
    return Nearest(*_rerank(*candidates, words, vectors, table, rounded, step, order)).head(k)


@kernel
def _rerank(
    rows: Ints,
    distances: Ints,
    scores: Floats,
    words: Words,
    vectors: Vectors,
    table: Floats,
    rounded: NDArray[np.int16],
    step: np.float32,
    popularity: Integers,
) -> tuple[Ints, Ints, Floats]:
    rows, distances, scores = rows.copy(), distances.copy(), scores.copy()
    score_rows(rows, QueryScorer(words, vectors, table, rounded, step), scores)
    sort_results(True, len(rows), rows, distances, scores, popularity)
    return rows, distances, scores


def _check_shapes(
    n: int,
    n_words: int,
    queries: Words,
    eligible: NDArray[np.bool_] | None,
    popularity: Integers | None,
) -> None:
    if queries.shape[1] not in (n_words, 2 * n_words):
        raise CodeShapeError(f"codes have {n_words} words, but the query has shape {queries.shape[1:]}")
    for name, column in (("eligible", eligible), ("popularity", popularity)):
        if column is not None and column.shape != (n,):
            raise CodeShapeError(f"{name} must have one value for each of {n} codes, got {column.shape}")
