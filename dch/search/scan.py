"""The exact scan: one pass over all codes that keeps the nearest k.

Distances are computed block by block into one kilobyte of scratch memory, which vectorizes. Only rows no
farther than the current k-th nearest are then looked at one by one. Once k are found these are few, so the
pass costs little more than reading the codes.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Words
from dch.models.towers import Floats, Ints
from dch.search.distances import block_distances
from dch.search.order import Integers, keep_nearest, sort_results

BLOCK = 512  # rows; a block of distances stays in the first-level cache, and most blocks hold no candidate


@kernel
def _is_allowed(row: int, allowed: NDArray[np.uint8], skip: Ints) -> bool:
    if len(allowed) > 0 and not allowed[row]:
        return False
    if len(skip) == 0:
        return True
    at = np.searchsorted(skip, row)
    return bool(at == len(skip) or skip[at] != row)


@kernel
def scan(
    words: Words,
    query: Words,
    k: int,
    allowed: NDArray[np.uint8],
    skip: Ints,
    popularity: Integers,
    rows: Ints,
    distances: Ints,
    scores: Floats,
) -> int:
    """Write the nearest k to the last three arrays, each at least (min(k, n),).

    Args:
        words: (n, n_words) uint64, contiguous.
        query: (n_words,) uint64.
        k: list length.
        allowed: (n,) uint8, 0 where a row must not be found; empty if every row may be.
        skip: (m,) int32 rows that must not be found, ascending.
        popularity: (n,) integers that break ties; empty if the row alone breaks them.
        rows: written, nearest first.
        distances: written.
        scores: written, 64 * n_words - 2 * distance.

    Returns:
        The number of rows found: k, or all that are allowed if these are fewer.
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
            found = keep_nearest(k, found, row, distance, score, rows, distances, scores, popularity)
            if found == k:
                threshold = int(distances[0])
    sort_results(False, found, rows, distances, scores, popularity)
    return found
