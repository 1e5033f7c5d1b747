"""The exact scan: one pass over all codes that keeps the nearest k.

Distances are computed block by block into a scratch of a kilobyte, which vectorises; only rows within the
distance of the current k-th nearest are looked at one by one. Once k are found these are few: the pass costs
about one read of the codes.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Words
from dch.search.distances import block_distances
from dch.search.order import Float32s, Int32s, Integers, _offer, _sort

BLOCK = 512  # rows; a block of distances stays in the first-level cache, and most blocks hold no candidate


@kernel
def _is_allowed(row: int, allowed: NDArray[np.uint8], skip: Int32s) -> bool:
    if len(allowed) > 0 and not allowed[row]:
        return False
    if len(skip) == 0:
        return True
    at = np.searchsorted(skip, row)
    return bool(at == len(skip) or skip[at] != row)


@kernel
def _scan(
    words: Words,
    query: Words,
    k: int,
    allowed: NDArray[np.uint8],
    skip: Int32s,
    popularity: Integers,
    rows: Int32s,
    distances: Int32s,
    scores: Float32s,
) -> int:
    """Find the nearest k; writes to the last three arrays, each at least (min(k, n),).

    Args:
        words: (n, n_words) uint64, contiguous.
        query: (n_words,) uint64.
        k: list length.
        allowed: (n,) uint8, 0 where a row may not be found; or empty: all may.
        skip: (m,) int32 rows that may not be found, ascending.
        popularity: (n,) integers that break ties; or empty: row decides.
        rows: written, nearest first.
        distances: written.
        scores: written, 64 * n_words - 2 * distance.

    Returns:
        How many were found: k, or all that are allowed when they are fewer.
    """
    n, n_words = words.shape
    if k <= 0:
        return 0
    flat = words.reshape(-1)
    scratch = np.empty(BLOCK, np.uint16)
    found, threshold = 0, 64 * n_words
    for start in range(0, n, BLOCK):
        block = scratch[: min(BLOCK, n - start)]
        if block_distances(flat[start * n_words : (start + len(block)) * n_words], query, block) > threshold:
            continue
        for i in range(len(block)):
            distance, row = int(block[i]), start + i
            if distance > threshold or not _is_allowed(row, allowed, skip):
                continue
            score = np.float32(64 * n_words - 2 * distance)
            found = _offer(k, found, row, distance, score, rows, distances, scores, popularity)
            if found == k:
                threshold = int(distances[0])
    _sort(False, found, rows, distances, scores, popularity)
    return found
