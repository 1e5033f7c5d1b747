"""The sum of the weights of a history, for each item that it speaks for.

A history of 200 ratings speaks for tens of thousands of items, of a million perhaps. An array over all items
would miss the caches of the processor at each weight. The weights of each rated item are in the order of the
items that they speak for, so the sums of one block of items after the other are made, and a block fits.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import WORD_BITS
from dch.models.neighbours import Neighbours, Rated
from dch.models.towers import Ints
from dch.search.distances import popcount

BLOCK = 1 << 15
"""Items of a block, a multiple of WORD_BITS: their sums take 256 KiB, part of a second-level cache."""

ONE = np.uint64(1)


class Sums(NamedTuple):
    """The sums, by the items that a history speaks for, ascending."""

    items: Ints  # (n,) rows of the fit
    values: NDArray[np.int64]  # (n,)
    bits: NDArray[np.uint64]  # (n_words,) bit i of word w is set if the history speaks for item 64 w + i
    before: Ints  # (n_words,) how many bits the words before have


class _Ranges(NamedTuple):
    """The weights of each rated item that are left to add."""

    weights: NDArray[np.int64]  # (n_rated,) of the ratings
    starts: NDArray[np.int64]  # (n_rated,)
    stops: NDArray[np.int64]  # (n_rated,)


@kernel
def add_up(neighbours: Neighbours, rated: Rated) -> Sums:
    """Return the sums over a history."""
    n_items = len(neighbours.scales)
    left, n_weights = _ranges(neighbours.starts, rated, n_items)
    room, n_words = min(n_weights, n_items), -(-n_items // WORD_BITS)
    sums = Sums(
        np.empty(room, np.int32),
        np.empty(room, np.int64),
        np.zeros(n_words, np.uint64),
        np.empty(n_words, np.int32),
    )
    block, n = np.zeros(min(BLOCK, n_words * WORD_BITS), np.int64), 0
    for first in range(0, n_items, BLOCK):
        _add_block(first, neighbours, left, block, sums.bits)
        n = _collect(first, block, neighbours.scales, n, sums)
    return Sums(sums.items[:n], sums.values[:n], sums.bits, sums.before)


@kernel
def position_of(sums: Sums, item: int) -> int:
    """Return the position of an item; -1 if the history does not speak for it."""
    word = item // WORD_BITS
    if item < 0 or word >= len(sums.bits):
        return -1
    bit = ONE << np.uint64(item % WORD_BITS)
    if not sums.bits[word] & bit:
        return -1
    return int(sums.before[word]) + int(popcount(sums.bits[word] & (bit - ONE)))


@kernel
def _ranges(starts: NDArray[np.int64], rated: Rated, n_items: int) -> tuple[_Ranges, int]:
    """Return the weights of each rated item that the neighbours know, and their number."""
    n, n_weights = len(rated.items), 0
    left = _Ranges(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64))
    n_known = 0
    for i in range(n):
        item = rated.items[i]
        if item < n_items:
            left.weights[n_known] = rated.weights[i]
            left.starts[n_known], left.stops[n_known] = starts[item], starts[item + 1]
            n_weights += starts[item + 1] - starts[item]
            n_known += 1
    return _Ranges(left.weights[:n_known], left.starts[:n_known], left.stops[:n_known]), n_weights


@kernel
def _add_block(
    first: int, neighbours: Neighbours, left: _Ranges, block: NDArray[np.int64], bits: NDArray[np.uint64]
) -> None:
    """Add the weights that speak for the items of the block from ``first`` on, and set their bits."""
    stop = first + len(block)
    for i in range(len(left.weights)):
        at, end, weight = left.starts[i], left.stops[i], left.weights[i]
        while at < end and neighbours.items[at] < stop:
            item = neighbours.items[at]
            block[item - first] += weight * np.int64(neighbours.weights[at])
            bits[item // WORD_BITS] |= ONE << np.uint64(item % WORD_BITS)
            at += 1
        left.starts[i] = at


@kernel
def _collect(first: int, block: NDArray[np.int64], scales: NDArray[np.uint16], n: int, sums: Sums) -> int:
    """Append the sums of a block, set the block to 0 again, and return how many sums there are."""
    first_word = first // WORD_BITS
    for word in range(first_word, min(first_word + len(block) // WORD_BITS, len(sums.bits))):
        sums.before[word] = n
        bits = sums.bits[word]
        while bits:
            item = word * WORD_BITS + int(popcount((bits & (~bits + ONE)) - ONE))
            sums.items[n] = item
            sums.values[n] = block[item - first] * np.int64(scales[item])
            block[item - first] = 0
            bits &= bits - ONE
            n += 1
    return n
