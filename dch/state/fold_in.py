"""Kernels that fold rating events into the histories and the bags of one side, or take them out again.

For the user side *own* is a user and *other* an item; for the item side the reverse. The arrays must have
room for every row and pair: kernels never grow them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.running_sums import RunningSums, add_rating, interpolate
from dch.models.towers import Floats, Ints
from dch.state.bag_slots import Slots, slot_to_fill
from dch.state.pairs import NEVER, NONE, Pairs, put, slots_of


class BagArrays(NamedTuple):
    """What a kernel needs to add ratings to the bags of one side."""

    sums: RunningSums  # by slot
    slots: Slots
    token_of: Ints  # (other rows,) row of the embedding, negative where the fit never saw the id
    embeddings: Floats  # (n_tokens, hidden)
    rating_knots: Floats  # (m, 2) [rating, weight]
    positive_from: float


@kernel
def fold_in(
    pairs: Pairs, bags: BagArrays, own: int, other: int, rating: float, timestamp: int, offset: int
) -> bool:
    """Fold one event into history and bag; return whether it changed anything. O(hidden)."""
    changed, old = put(pairs, own, other, rating, timestamp, offset)
    if changed:
        apply_rating(bags, own, other, old, -1)
        apply_rating(bags, own, other, rating, 1)
    return changed


@kernel
def fold_in_all(
    pairs: Pairs,
    bags: BagArrays,
    own: Ints,
    other: Ints,
    ratings: Floats,
    timestamps: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Fold events in, in order; return which of them changed anything, (n,)."""
    changed = np.empty(len(own), np.bool_)
    for i in range(len(own)):
        changed[i] = fold_in(pairs, bags, own[i], other[i], ratings[i], timestamps[i], offsets[i])
    return changed


@kernel
def apply_rating(bags: BagArrays, own: int, other: int, rating: float, sign: int) -> None:
    """Add a rating to the bag of its row (sign 1) or subtract it (sign -1); NaN means no rating."""
    sums, slots, token_of, embeddings, knots, positive_from = bags
    if np.isnan(rating):
        return
    token = token_of[other]
    if rating < positive_from and token < 0:
        return
    slot = slot_to_fill(slots, own)
    if rating >= positive_from:
        sums.n_positive[slot] += sign
    if token >= 0:
        add_rating(sums, slot, embeddings[token], interpolate(knots, rating), sign)


@kernel
def add_live_ratings(pairs: Pairs, bags: BagArrays, slots: NDArray[np.int64]) -> None:
    """Add the ratings in these slots to their bags."""
    for slot in slots:
        apply_rating(bags, pairs.own[slot], pairs.other[slot], pairs.ratings[slot], 1)


@kernel
def forget(pairs: Pairs, bags: BagArrays, own: int, until: int) -> Ints:
    """Withdraw the ratings of one row up to a time, and ignore such ratings from now on.

    Returns:
        The other rows of the ratings that were withdrawn, (n,).
    """
    pairs.forgotten_before[own] = max(pairs.forgotten_before[own], until)
    slots = slots_of(pairs, own)
    others = np.empty(len(slots), np.int32)
    n = 0
    for slot in slots:
        if pairs.timestamps[slot] <= until:
            apply_rating(bags, own, pairs.other[slot], pairs.ratings[slot], -1)
            pairs.ratings[slot] = np.nan
            pairs.n_live[own] -= 1
            others[n] = pairs.other[slot]
            n += 1
    return others[:n]


@kernel
def release(pairs: Pairs, bags: BagArrays, rows: Ints) -> None:
    """Reset these rows as if they had no events; the same events may be folded in again later."""
    for own in rows:
        for slot in slots_of(pairs, own):
            apply_rating(bags, own, pairs.other[slot], pairs.ratings[slot], -1)
        pairs.n_live[own] = 0
        slot = pairs.newest[own]
        while slot != NONE:
            pairs.ratings[slot] = np.nan
            pairs.timestamps[slot] = NEVER
            pairs.offsets[slot] = NEVER
            slot = pairs.following[slot]
        pairs.forgotten_before[own] = NEVER
