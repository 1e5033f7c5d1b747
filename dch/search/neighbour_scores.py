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
from dch.search.instructions import prefetch
from dch.search.kept_positions import keep_positions
from dch.search.nearest import CANDIDATES, Nearest
from dch.search.neighbour_sums import Sums, add_up
from dch.search.order import Integers, is_worse, keep_nearest, sort_results
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
    n_strong = max(min(k, len(items.allowed)), CANDIDATES)  # k may be any number, "all" included
    chosen = _NO_ROWS if among is None else among
    # Arrays alone: a call of a kernel from Python takes longer with named tuples of arrays.
    of_items = (candidates, n_strong, *items, among is not None, chosen)
    return Nearest(*_rerank(*of_items, *neighbours, *rated, query, vector, skip)).head(k)


@kernel
def _rerank(
    candidates: Ints,
    n_strong: int,
    words: Words,
    vectors: Vectors,
    allowed: NDArray[np.uint8],
    precedence: Integers,
    fitted: Ints,
    rows_of_fitted: Ints,
    is_limited: bool,
    chosen: Ints,
    starts: NDArray[np.int64],
    neighbour_items: Ints,
    neighbour_weights: NDArray[np.int8],
    scales: NDArray[np.uint16],
    share: NDArray[np.float32],
    rated_items: Ints,
    rated_weights: NDArray[np.int64],
    query: Words,
    vector: Floats,
    skip: Ints,
) -> tuple[Ints, Ints, Floats]:
    """Return the candidates and the neighbours, in the order of the list."""
    items = Items(words, vectors, allowed, precedence, fitted, rows_of_fitted)
    neighbours = Neighbours(starts, neighbour_items, neighbour_weights, scales, share)
    rated, limits = Rated(rated_items, rated_weights), Chosen(is_limited, chosen)
    return _merged(candidates, n_strong, items, limits, neighbours, rated, query, vector, skip)


@kernel
def _merged(
    candidates: Ints,
    n_strong: int,
    items: Items,
    chosen: Chosen,
    neighbours: Neighbours,
    rated: Rated,
    query: Words,
    vector: Floats,
    skip: Ints,
) -> tuple[Ints, Ints, Floats]:
    for row in candidates:
        prefetch(items.words, row)
        prefetch(items.vectors, row)
    wanted = _fitted_of(candidates, items)
    sums = add_up(neighbours, rated, _fitted_of(skip, items), wanted)
    strong, strong_sums = _strongest(sums, n_strong, items, chosen)
    rows, totals = _with_others(strong, strong_sums, candidates, sums.wanted)
    rounded = np.empty(len(vector), np.int16)
    step, factor = OF_LARGEST, FIXED
    if len(vector):
        step = round_query(vector, rounded)
        factor = factor_of(neighbours.share[0], rated.weights, step)
    n = len(rows)
    distances, scores = np.empty(n, np.int32), np.empty(n, np.float32)
    for at in range(n):
        distances[at] = distance_of(items.words[rows[at]], query)
        total = FIXED * _product(items.vectors[rows[at]], rounded) + factor * totals[at]
        scores[at] = np.float32(total) * (step / np.float32(FIXED))
    sort_results(True, n, rows, distances, scores, items.precedence)
    if _has_kept(wanted, neighbours.scales):
        without = _without_neighbours(candidates, items, query, rounded, step)
        keep_positions(
            n, rows, distances, scores, items.fitted, neighbours.scales, *without, items.precedence
        )
    return rows, distances, scores


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
    nothing = np.empty(0, np.int32)
    sums = add_up(neighbours, rated, _fitted_of(skip, items), nothing)
    rows, _ = _strongest(sums, CANDIDATES, items, Chosen(False, nothing))
    return bool((rows == row).any())


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
def _fitted_of(rows: Ints, items: Items) -> Ints:
    """Return the row in the fit of each row, -1 where there is none."""
    fitted = np.full(len(rows), -1, np.int32)
    for row in rows:
        prefetch(items.fitted, row)
    for at in range(len(rows)):
        if 0 <= rows[at] < len(items.fitted):
            fitted[at] = items.fitted[rows[at]]
    return fitted


@kernel
def _has_kept(fitted: Ints, scales: NDArray[np.uint16]) -> bool:
    """Return whether there is a candidate for which no weight speaks."""
    for item in fitted:  # noqa: SIM110 - a generator would not compile
        if item < 0 or item >= len(scales) or scales[item] == 0:
            return True
    return False


@kernel
def _with_others(
    strong: Ints, sums: NDArray[np.int64], candidates: Ints, others: NDArray[np.int64]
) -> tuple[Ints, NDArray[np.int64]]:
    """Append the candidates that are not among the strongest, and their sums."""
    ordered, n = np.sort(strong), len(strong)
    rows, totals = np.empty(n + len(candidates), np.int32), np.empty(n + len(candidates), np.int64)
    rows[:n], totals[:n] = strong, sums
    for at in range(len(candidates)):
        if others[at] <= 0 or not is_among(candidates[at], ordered):
            rows[n], totals[n] = candidates[at], others[at]
            n += 1
    return rows[:n], totals[:n]


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
def _strongest(sums: Sums, size: int, items: Items, chosen: Chosen) -> tuple[Ints, NDArray[np.int64]]:
    """Return the rows with the largest sums above 0 that may be listed, in no order, and these sums.

    What is read of an item besides its sum takes long, so the first pass is over the items that can be among
    the strongest if a fifth of them may not be listed. If it finds too few, a second pass is over all.
    """
    strengths = sums.values.astype(np.float32)
    floor, one = _floor_of(strengths, size + size // 4), np.float32(1)
    rows, positions = _listed_from(floor, strengths, sums.items, items, chosen)
    if len(rows) < size and floor > one:
        rows, positions = _listed_from(one, strengths, sums.items, items, chosen)
    if len(rows) > size:
        is_best = _are_best(rows, strengths[positions], size, items.precedence)
        rows, positions = rows[is_best], positions[is_best]
    return rows, sums.values[positions]


@kernel
def _listed_from(
    floor: np.float32, strengths: Floats, touched: Ints, items: Items, chosen: Chosen
) -> tuple[Ints, Ints]:
    """Return the rows that are as strong as a floor and may be listed, and their positions among the sums."""
    positions = np.flatnonzero(strengths >= floor).astype(np.int32)
    rows, n = np.empty(len(positions), np.int32), 0
    for position in positions:
        prefetch(items.rows, touched[position])
    for at in range(len(positions)):  # all reads of a column begin before the first one is waited for
        rows[at] = items.rows[touched[positions[at]]]
        prefetch(items.allowed, rows[at])
        prefetch(items.words, rows[at])
        prefetch(items.vectors, rows[at])
    for at in range(len(positions)):
        row = rows[at]
        if 0 <= row < len(items.allowed) and items.allowed[row] and _may_be_added(row, chosen):
            rows[n], positions[n] = row, positions[at]
            n += 1
    return rows[:n], positions[:n]


@kernel
def _are_best(rows: Ints, strengths: Floats, size: int, precedence: Integers) -> NDArray[np.bool_]:
    """Return which of more rows than ``size`` are the strongest so many."""
    best, scores, n = np.empty(size, np.int32), np.empty(size, np.float32), 0
    distances, is_best = np.zeros(size, np.int32), np.ones(len(rows), np.bool_)
    for at in range(len(rows)):
        n = keep_nearest(size, n, rows[at], 0, strengths[at], best, distances, scores, precedence)
    for at in range(len(rows)):
        is_best[at] = not is_worse(False, 0, strengths[at], rows[at], 0, scores[0], best[0], precedence)
    return is_best


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
