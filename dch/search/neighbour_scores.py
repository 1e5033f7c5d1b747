"""Lists by ranking vectors and neighbours together: strategy ``codes+rerank+neighbours``.

The candidates are the nearest codes and the strongest neighbours of the user's ratings. An item for which no
weight speaks, such as one that is newer than the fit, keeps the position that it has by codes and vectors
alone (see ``dch.search.kept_positions``). The score of the others is

    FIXED * (rounded vector of the user . vector of the item) + factor * (sum over the user's ratings)

in 64-bit integers. The factor makes the share of the neighbours comparable for short and long histories; it
depends on the user alone, so the score of an item never depends on which other candidates were found.

Items similar to an item are those that a rating of it speaks for, then the nearest codes: there is no vector.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Vectors, Words
from dch.models.neighbours import RATING_STEPS, Neighbours, Rated
from dch.models.towers import Floats, Ints
from dch.search.distances import distance_of
from dch.search.kept_positions import is_kept, keep_positions
from dch.search.nearest import CANDIDATES, Nearest
from dch.search.neighbour_sums import Sums, add_up, position_of
from dch.search.order import Integers, keep_nearest, sort_results
from dch.search.scan import is_among
from dch.search.scores import round_query

FIXED = 1 << 26
"""The factor of the product of vectors; the factor of the neighbours is relative to it."""

LARGEST_PART = 1 << 62
"""Bound of the part of the neighbours in a score. That of the vectors is far smaller; both fit in 63 bits."""

LARGEST_WEIGHT = 127 * 65535
"""Largest weight between two items: int8 times uint16."""

OF_LARGEST = np.float32(1 / (LARGEST_WEIGHT * RATING_STEPS))
"""What 1 in the sum stands for without a vector: the score of one rated item is then from -1 to 1."""


_NO_ROWS = np.empty(0, np.int32)

DROPPED_BITS = 19
"""Bits of a strength in 32-bit floating point that ``_floor_of`` does not tell apart."""


class Items(NamedTuple):
    """What is read of the items; the first five by row of the index, the last by row of the fit."""

    words: Words  # (n, n_words)
    vectors: Vectors  # (n, vector_size)
    allowed: NDArray[np.uint8]  # (n,)
    precedence: Integers  # (n,)
    fitted: Ints  # (n,) row of the item in the fit, negative where the fit never saw it
    rows: Ints  # (n_fitted,) row of a fitted item, negative where none is known


class Chosen(NamedTuple):
    """The rows that may be added to the nearest codes."""

    is_limited: bool  # whether only these may be
    rows: Ints  # (n,) ascending


def rerank_with_neighbours(
    candidates: Ints,
    k: int,
    items: Items,
    neighbours: Neighbours,
    rated: Rated,
    query: Words,
    vector: Floats,
    skip: Ints,
    among: Ints | None = None,
) -> Nearest:
    """Add the neighbours of a history to the nearest codes, and return the best k of both.

    Order: score descending, then distance, then popularity descending, then row. Items for which no weight
    speaks keep their positions among the candidates alone.

    Args:
        candidates: (m,) rows of the nearest codes.
        k: list length.
        items: the items.
        neighbours: the weights between the items of the fit.
        rated: the history.
        query: (n_words,) the user code; (2 * n_words,) with its heavy bits, for weighted distances.
        vector: (vector_size,) the ranking vector of the user; empty: neighbours alone make the score.
        skip: (n_skipped,) rows that must not be found, in any order.
        among: (n_chosen,) ascending; of the neighbours only these rows are added; None adds any.
    """
    chosen = Chosen(among is not None, _NO_ROWS if among is None else among)
    n_strong = max(min(k, len(items.allowed)), CANDIDATES)  # k may be any number, "all" included
    size = len(candidates) + n_strong
    found = Nearest(np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.float32))
    n = _rerank(candidates, items, chosen, neighbours, rated, query, vector, skip, *found)
    return found.head(min(n, k))


@kernel
def _rerank(
    candidates: Ints,
    items: Items,
    chosen: Chosen,
    neighbours: Neighbours,
    rated: Rated,
    query: Words,
    vector: Floats,
    skip: Ints,
    rows: Ints,
    distances: Ints,
    scores: Floats,
) -> int:
    """Write the candidates and the neighbours, in the order of the list, and return how many there are."""
    sums = add_up(neighbours, rated)
    _leave_out(skip, items.fitted, sums)
    size = len(rows) - len(candidates)
    n_strong = _strongest(sums, size, items, chosen, rows, distances, scores)
    n = _add_others(candidates, items.fitted, sums, n_strong, rows)
    rounded = np.empty(len(vector), np.int16)
    step, factor = OF_LARGEST, FIXED
    if len(vector):
        step = round_query(vector, rounded)
        factor = factor_of(neighbours.share[0], rated.weights, step)
    for at in range(n):
        distances[at] = distance_of(items.words[rows[at]], query)
    has_kept = _score(rows[:n], items, neighbours.scales, sums, rounded, factor, step, scores)
    sort_results(True, n, rows, distances, scores, items.precedence)
    if has_kept:
        without = _without_neighbours(candidates, items, query, rounded, step)
        keep_positions(
            n, rows, distances, scores, items.fitted, neighbours.scales, *without, items.precedence
        )
    return n


@kernel
def is_strong(row: int, items: Items, neighbours: Neighbours, rated: Rated, skip: Ints) -> bool:
    """Return whether a row is among the strongest neighbours of a history.

    It searches no codes, so its work does not grow with the catalogue.

    Args:
        row: a row that may be listed and is not in ``skip``.
        items: the items.
        neighbours: the weights between the items of the fit.
        rated: the history.
        skip: (n_skipped,) rows that must not be found, in any order.
    """
    if not _is_spoken_for(items.fitted[row], neighbours, rated):
        return False
    sums, any_row = add_up(neighbours, rated), Chosen(False, np.empty(0, np.int32))
    _leave_out(skip, items.fitted, sums)
    rows, distances = np.empty(CANDIDATES, np.int32), np.empty(CANDIDATES, np.int32)
    scores = np.empty(CANDIDATES, np.float32)
    n = _strongest(sums, CANDIDATES, items, any_row, rows, distances, scores)
    return bool((rows[:n] == row).any())


@kernel
def _is_spoken_for(fitted: int, neighbours: Neighbours, rated: Rated) -> bool:
    """Return whether the weights of a history for an item of the fit sum to more than 0."""
    if fitted < 0 or fitted >= len(neighbours.scales) or neighbours.scales[fitted] == 0:
        return False
    total = np.int64(0)
    for i in range(len(rated.items)):
        item = rated.items[i]
        if item < len(neighbours.scales):
            at, stop = neighbours.starts[item], neighbours.starts[item + 1]
            at += np.searchsorted(neighbours.items[at:stop], fitted)
            while at < stop and neighbours.items[at] == fitted:
                total += rated.weights[i] * np.int64(neighbours.weights[at])
                at += 1
    return bool(total > 0)


@kernel
def _add_others(candidates: Ints, fitted: Ints, sums: Sums, n: int, rows: Ints) -> int:
    """Append the candidates that are not among the first n rows; return how many rows there are."""
    is_listed = np.zeros(len(sums.items), np.bool_)
    for row in rows[:n]:
        is_listed[position_of(sums, fitted[row])] = True
    for row in candidates:
        position = position_of(sums, fitted[row])
        if position < 0 or not is_listed[position]:
            rows[n] = row
            n += 1
    return n


@kernel
def _score(
    rows: Ints,
    items: Items,
    scales: NDArray[np.uint16],
    sums: Sums,
    rounded: NDArray[np.int16],
    factor: int,
    step: np.float32,
    scores: Floats,
) -> bool:
    """Write the score of each row; return whether there is one for which no weight speaks."""
    has_kept = False
    for at in range(len(rows)):
        total = FIXED * _product(items.vectors[rows[at]], rounded)
        position = position_of(sums, items.fitted[rows[at]])
        if position >= 0:
            total += factor * sums.values[position]
        has_kept = has_kept or is_kept(rows[at], items.fitted, scales)
        scores[at] = np.float32(total) * (step / np.float32(FIXED))
    return has_kept


@kernel
def _without_neighbours(
    candidates: Ints, items: Items, query: Words, rounded: NDArray[np.int16], step: np.float32
) -> tuple[Ints, Ints, Floats]:
    """Return copies of the candidates, their distances, and their scores by vectors alone."""
    rows = candidates.copy()
    distances, scores = np.empty(len(rows), np.int32), np.empty(len(rows), np.float32)
    for at in range(len(rows)):
        distances[at] = distance_of(items.words[rows[at]], query)
        scores[at] = np.float32(_product(items.vectors[rows[at]], rounded)) * step
    return rows, distances, scores


@kernel
def _leave_out(skip: Ints, fitted: Ints, sums: Sums) -> None:
    """Set the sums of the rows that must not be found to 0, so that they are not among the strongest."""
    for row in skip:
        if row < len(fitted):
            position = position_of(sums, fitted[row])
            if position >= 0:
                sums.values[position] = 0


@kernel
def _strongest(
    sums: Sums, size: int, items: Items, chosen: Chosen, rows: Ints, distances: Ints, scores: Floats
) -> int:
    """Write the rows with the largest sums above 0 that may be listed; return how many there are.

    What is read of an item besides its sum takes long, so the first pass is over the items that can be among
    the strongest if a fifth of them may not be listed. If it finds too few, a second pass is over all.
    """
    strengths = sums.values.astype(np.float32)
    floor = _floor_of(strengths, size + size // 4)
    n = _strongest_from(floor, strengths, sums.items, size, items, chosen, rows, distances, scores)
    if n < size and floor > 1:
        one = np.float32(1)
        n = _strongest_from(one, strengths, sums.items, size, items, chosen, rows, distances, scores)
    return n


@kernel
def _strongest_from(
    floor: np.float32,
    strengths: Floats,
    touched: Ints,
    size: int,
    items: Items,
    chosen: Chosen,
    rows: Ints,
    distances: Ints,
    scores: Floats,
) -> int:
    n = 0
    for position in range(len(strengths)):
        if strengths[position] < floor:
            continue
        row = items.rows[touched[position]]
        if 0 <= row < len(items.allowed) and items.allowed[row] and _may_be_added(row, chosen):
            strength = strengths[position]
            n = keep_nearest(size, n, row, 0, strength, rows, distances, scores, items.precedence)
    return n


@kernel
def _may_be_added(row: int, chosen: Chosen) -> bool:
    return not chosen.is_limited or is_among(row, chosen.rows)


@kernel
def _floor_of(strengths: Floats, wanted: int) -> np.float32:
    """Return a strength, 1 or more, that at least so many items have, or 1 if fewer than that are above 0.

    Strengths are whole numbers, rounded. Those above 0 are in the order of their bits, so the counts of their
    first bits tell: nine bits that are the sign and the exponent, and four more.
    """
    bits, one = strengths.view(np.int32), np.float32(1)
    counts = np.zeros(1 << (32 - DROPPED_BITS), np.int32)
    for at in range(len(strengths)):
        if strengths[at] >= one:
            counts[bits[at] >> DROPPED_BITS] += 1
    n, first = 0, len(counts)
    while first > 0 and n < wanted:
        first -= 1
        n += counts[first]
    floor = np.array([first << DROPPED_BITS], np.int32).view(np.float32)[0]
    return max(floor, one)


@kernel
def factor_of(share: np.float32, weights: NDArray[np.int64], step: np.float32) -> int:
    """Return the integer factor of the sum over a history, relative to FIXED.

    The sum over a history grows with its length. Its typical size, the root of the sum of squared weights,
    is divided out.

    Args:
        share: part of the neighbours in a score.
        weights: (n,) of the history.
        step: what 1 in the rounded vector of the user stands for.
    """
    total, squares = np.int64(0), np.int64(0)
    for weight in weights:
        total += weight
        squares += weight * weight
    if squares == 0:
        return 0
    factor = np.rint(FIXED * (share / np.sqrt(np.float64(squares))) / step)
    return int(min(max(factor, 0.0), float(LARGEST_PART // (LARGEST_WEIGHT * total))))


@kernel
def _product(vector: NDArray[np.int8], rounded: NDArray[np.int16]) -> int:
    product = np.int64(0)
    for j in range(len(rounded)):
        product += np.int64(np.int32(vector[j]) * np.int32(rounded[j]))
    return int(product)
