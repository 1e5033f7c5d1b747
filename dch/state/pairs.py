"""Pairs of own and other rows with their latest rating, in flat arrays: the kernels behind ``Histories``.

A hash table with linear probing finds a pair; a linked list joins the pairs of one row. While the table is
replaced by a larger one, pairs move there bit by bit, and those that have not moved are found in the old one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel

NONE = -1
"""Marks the end of a linked list."""

FREE = 0
"""Marks a free bucket of a hash table; new tables are zeros, which take memory only where written."""

NEVER = np.iinfo(np.int64).min
"""A time before every timestamp."""


class Pairs(NamedTuple):
    """The arrays behind ``Histories``. Each pair has a slot."""

    table: NDArray[np.int32]  # (n_buckets, a power of two,) hash table: slot of a pair + 1, or FREE
    old_table: NDArray[np.int32]  # the table before, for pairs that have not moved yet; empty if all have
    own: NDArray[np.int32]  # (slots,)
    other: NDArray[np.int32]  # (slots,)
    ratings: NDArray[np.float32]  # (slots,) NaN once withdrawn
    timestamps: NDArray[np.int64]  # (slots,)
    offsets: NDArray[np.int64]  # (slots,)
    following: NDArray[np.int32]  # (slots,) the next older slot of the same own row, or NONE
    newest: NDArray[np.int32]  # (own rows,) the newest slot of each own row, or NONE
    forgotten_before: NDArray[np.int64]  # (own rows,) time in ms up to which events are ignored
    n_live: NDArray[np.int32]  # (own rows,) number of ratings that are not withdrawn
    used: NDArray[np.int64]  # (1,) number of slots in use


@kernel
def _first_bucket(own: int, other: int, mask: int) -> int:
    # Fibonacci hashing: the high bits of the product depend on every bit of both rows.
    mixed = np.uint64((np.int64(own) << 32) | np.int64(other)) * np.uint64(0x9E3779B97F4A7C15)
    return int(mixed >> np.uint64(32)) & mask


@kernel
def _probe(table: NDArray[np.int32], pairs: Pairs, own: int, other: int) -> int:
    """Return the bucket of a table that holds this pair, or the free one where it belongs."""
    mask = len(table) - 1
    bucket = _first_bucket(own, other, mask)
    while True:
        slot = table[bucket] - 1
        if table[bucket] == FREE or (pairs.own[slot] == own and pairs.other[slot] == other):
            return bucket
        bucket = (bucket + 1) & mask


@kernel
def find(pairs: Pairs, own: int, other: int) -> int:
    """Return the bucket of the hash table that holds this pair, or the free one where it belongs.

    A pair that is found in the old table moves to the new one.
    """
    bucket = _probe(pairs.table, pairs, own, other)
    if pairs.table[bucket] == FREE and len(pairs.old_table) > 0:
        pairs.table[bucket] = pairs.old_table[_probe(pairs.old_table, pairs, own, other)]
    return bucket


@kernel
def move(pairs: Pairs, start: int, stop: int) -> None:
    """Move the pairs of these slots from the old table to the new one, if they are not there yet."""
    for slot in range(start, stop):
        find(pairs, pairs.own[slot], pairs.other[slot])


@kernel
def fill_table(pairs: Pairs) -> None:
    """Put all pairs into an empty table."""
    for slot in range(pairs.used[0]):
        pairs.table[find(pairs, pairs.own[slot], pairs.other[slot])] = slot + 1


@kernel
def link(pairs: Pairs) -> None:
    """Join the pairs of each own row, which has none so far."""
    for slot in range(pairs.used[0]):
        own = pairs.own[slot]
        pairs.following[slot] = pairs.newest[own]
        pairs.newest[own] = slot


@kernel
def put(pairs: Pairs, own: int, other: int, rating: float, timestamp: int, offset: int) -> tuple[bool, float]:
    """Apply one event to the histories.

    Returns:
        Whether the event is the latest of its pair, and the rating before it (NaN where there was none).
    """
    if timestamp <= pairs.forgotten_before[own]:
        return False, np.nan
    bucket = find(pairs, own, other)
    slot = pairs.table[bucket] - 1
    old = np.nan
    if pairs.table[bucket] == FREE:
        slot = np.int32(pairs.used[0])
        pairs.used[0] += 1
        pairs.table[bucket] = slot + 1
        pairs.own[slot], pairs.other[slot] = own, other
        pairs.following[slot] = pairs.newest[own]
        pairs.newest[own] = slot
    else:
        old = float(pairs.ratings[slot])
        latest = pairs.timestamps[slot]
        if timestamp < latest or (timestamp == latest and offset <= pairs.offsets[slot]):
            return False, old
    pairs.n_live[own] += (not np.isnan(rating)) - (not np.isnan(old))
    pairs.ratings[slot] = rating
    pairs.timestamps[slot] = timestamp
    pairs.offsets[slot] = offset
    return True, old


@kernel
def slots_of(pairs: Pairs, own: int) -> NDArray[np.int64]:
    """Return the slots of the pairs of one own row that have a rating, newest pair first."""
    n = 0
    slot = pairs.newest[own]
    while slot != NONE:
        n += 0 if np.isnan(pairs.ratings[slot]) else 1
        slot = pairs.following[slot]
    slots = np.empty(n, np.int64)
    n = 0
    slot = pairs.newest[own]
    while slot != NONE:
        if not np.isnan(pairs.ratings[slot]):
            slots[n] = slot
            n += 1
        slot = pairs.following[slot]
    return slots
