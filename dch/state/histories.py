"""Histories: the latest rating of every (own, other) pair of one side, in flat arrays.

For the user side *own* is a user and *other* an item; for the item side the reverse. The state is a pure
function of the set of events: per pair the latest by (timestamp, offset) wins, so events may come again, and
in any order. A pair is found by hashing with linear probing; the pairs of one own row are a linked list.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel

NONE = -1
"""Marks a free slot of the table and the end of a list."""

NEVER = np.iinfo(np.int64).min
"""A timestamp before every other."""


@dataclass(frozen=True)
class Events:
    """Rating events as columns of one length, in the order to be applied."""

    users: NDArray[np.int32]
    """(n,) user rows."""

    items: NDArray[np.int32]
    """(n,) item rows."""

    ratings: NDArray[np.float32]
    """(n,) ratings; NaN withdraws the pair."""

    timestamps: NDArray[np.int64]
    """(n,) event times in milliseconds since 1970."""

    offsets: NDArray[np.int64]
    """(n,) places in the log; they decide between events of one pair at the same time."""

    def __len__(self) -> int:
        return len(self.users)

    def part(self, start: int, stop: int) -> "Events":
        """Return events start to stop, as views."""
        cut = slice(start, stop)
        return Events(
            self.users[cut], self.items[cut], self.ratings[cut], self.timestamps[cut], self.offsets[cut]
        )


class Pairs(NamedTuple):
    """The arrays behind ``Histories``, as kernels take them. Slots are given in order and never freed."""

    table: NDArray[np.int32]  # (a power of two,) slot of a pair, or NONE
    own: NDArray[np.int32]  # (slots,)
    other: NDArray[np.int32]  # (slots,)
    ratings: NDArray[np.float32]  # (slots,) NaN once withdrawn
    timestamps: NDArray[np.int64]  # (slots,)
    offsets: NDArray[np.int64]  # (slots,)
    following: NDArray[np.int32]  # (slots,) the next older slot of the same own row
    newest: NDArray[np.int32]  # (own rows,) the first slot of each list
    forgotten_before: NDArray[np.int64]  # (own rows,) events up to this time are forgotten
    used: NDArray[np.int64]  # (1,) how many slots are taken


class Histories:
    """All histories of one side. One writer; readers need the writer's lock."""

    def __init__(self) -> None:
        self.pairs = Pairs(
            table=np.full(16, NONE, np.int32),
            own=np.empty(8, np.int32),
            other=np.empty(8, np.int32),
            ratings=np.empty(8, np.float32),
            timestamps=np.empty(8, np.int64),
            offsets=np.empty(8, np.int64),
            following=np.empty(8, np.int32),
            newest=np.full(8, NONE, np.int32),
            forgotten_before=np.full(8, NEVER, np.int64),
            used=np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        """Return how many pairs are held, withdrawn ones among them."""
        return int(self.pairs.used[0])

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.pairs)

    def reserve(self, n_events: int, n_rows: int) -> None:
        """Make room for n_events new pairs and for own rows below n_rows; kernels never grow arrays."""
        pairs = self.pairs
        needed = len(self) + n_events
        if needed > len(pairs.own):
            size = max(needed, 2 * len(pairs.own))
            by_slot = ("own", "other", "ratings", "timestamps", "offsets", "following")
            pairs = pairs._replace(**{name: _grown(getattr(pairs, name), size) for name in by_slot})
        if 2 * needed > len(pairs.table):
            table = np.full(1 << (2 * needed).bit_length(), NONE, np.int32)
            pairs = pairs._replace(table=table)
            _fill_table(pairs)
        if n_rows > len(pairs.newest):
            size = max(n_rows, 2 * len(pairs.newest))
            pairs = pairs._replace(
                newest=_grown(pairs.newest, size, NONE),
                forgotten_before=_grown(pairs.forgotten_before, size, NEVER),
            )
        self.pairs = pairs

    def of(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the live history of one own row: other rows and ratings, newest pair first."""
        if row >= len(self.pairs.newest):
            return np.empty(0, np.int32), np.empty(0, np.float32)
        slots = slots_of(self.pairs, row)
        return self.pairs.other[slots], self.pairs.ratings[slots]

    def live(self) -> NDArray[np.int64]:
        """Return the slots of all live pairs, in the order the pairs were first seen."""
        live: NDArray[np.int64] = np.flatnonzero(~np.isnan(self.pairs.ratings[: len(self)]))
        return live


def _grown(array: NDArray[Any], size: int, fill: int = 0) -> NDArray[Any]:
    larger = np.full(size, fill, array.dtype)
    larger[: len(array)] = array
    return larger


@kernel
def _start(own: int, other: int, mask: int) -> int:
    # Fibonacci hashing: the high bits of the product depend on every bit of both rows.
    mixed = np.uint64((np.int64(own) << 32) | np.int64(other)) * np.uint64(0x9E3779B97F4A7C15)
    return int(mixed >> np.uint64(32)) & mask


@kernel
def find(pairs: Pairs, own: int, other: int) -> int:
    """Return the place in the table where this pair is, or where it would go."""
    mask = len(pairs.table) - 1
    place = _start(own, other, mask)
    while True:
        slot = pairs.table[place]
        if slot == NONE or (pairs.own[slot] == own and pairs.other[slot] == other):
            return place
        place = (place + 1) & mask


@kernel
def _fill_table(pairs: Pairs) -> None:
    for slot in range(pairs.used[0]):
        pairs.table[find(pairs, pairs.own[slot], pairs.other[slot])] = slot


@kernel
def put(pairs: Pairs, own: int, other: int, rating: float, timestamp: int, offset: int) -> tuple[bool, float]:
    """Apply one event; return whether it is the pair's latest, and the rating it replaced (NaN for none)."""
    if timestamp <= pairs.forgotten_before[own]:
        return False, np.nan
    place = find(pairs, own, other)
    slot = pairs.table[place]
    old = np.nan
    if slot == NONE:
        slot = np.int32(pairs.used[0])
        pairs.used[0] += 1
        pairs.table[place] = slot
        pairs.own[slot], pairs.other[slot] = own, other
        pairs.following[slot] = pairs.newest[own]
        pairs.newest[own] = slot
    else:
        old = float(pairs.ratings[slot])
        at = pairs.timestamps[slot]
        if timestamp < at or (timestamp == at and offset <= pairs.offsets[slot]):
            return False, old
    pairs.ratings[slot] = rating
    pairs.timestamps[slot] = timestamp
    pairs.offsets[slot] = offset
    return True, old


@kernel
def slots_of(pairs: Pairs, own: int) -> NDArray[np.int64]:
    """Return the slots of the live pairs of one own row, newest pair first."""
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
