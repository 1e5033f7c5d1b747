"""Chance that hangs on ids alone: an id, or a pair, draws the same number in every fit of one seed.

So a refit takes nearly the same ratings out for validation as the fit before it, which had not learned
from them.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Draws = NDArray[np.float64]
Words = NDArray[np.uint64]


def drawn_by(ids: Sequence[str], seed: int) -> Draws:
    """Return a number in [0, 1) for each id, (n,); any whole number is a seed."""
    return _unit(_mixed(_checksums(ids) + _of(seed)))


def drawn_by_pair(
    ids: tuple[Sequence[str], Sequence[str]], rows: tuple[NDArray[np.int32], NDArray[np.int32]], seed: int
) -> Draws:
    """Return a number in [0, 1) for each pair of ids, (n,).

    Args:
        ids: of both sides.
        rows: (n,) and (n,): which ids make a pair.
        seed: any whole number.
    """
    first, second = (_checksums(of_side)[at] for of_side, at in zip(ids, rows, strict=True))
    return _unit(_mixed(_mixed(first + _of(seed)) ^ second))


def _of(seed: int) -> np.uint64:
    return np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)  # far apart for seeds that are near


def _checksums(ids: Sequence[str]) -> Words:
    return np.array([zlib.crc32(id_.encode()) for id_ in ids], np.uint64)


def _mixed(words: Words) -> Words:
    """Spread a difference in any bit over all of them.

    Source:
        The last steps of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators"
        (OOPSLA 2014).
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _unit(words: Words) -> Draws:
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
