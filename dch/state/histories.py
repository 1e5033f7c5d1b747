"""Histories: the latest rating of every (own, other) pair, in flat arrays; and the features.

For the user side *own* is a user and *other* an item; for the item side the reverse. The content depends on
the set of events only: of each pair the latest event by (timestamp, offset) counts, so events may repeat and
arrive in any order. A hash table with linear probing finds a pair; a linked list joins the pairs of one row.
"""

import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import IdTable
from dch.jit import kernel
from dch.models.towers import Ints

NONE = -1
"""Marks a free bucket of the hash table and the end of a linked list."""

NEVER = np.iinfo(np.int64).min
"""A time before every timestamp."""


@dataclass(frozen=True)
class Events:
    """Rating events as columns of one length, in the order in which they are folded in."""

    users: NDArray[np.int32]
    """(n,) user rows."""

    items: NDArray[np.int32]
    """(n,) item rows."""

    ratings: NDArray[np.float32]
    """(n,) ratings; NaN withdraws the rating of the pair."""

    timestamps: NDArray[np.int64]
    """(n,) event times in milliseconds since 1970."""

    offsets: NDArray[np.int64]
    """(n,) offsets in the log; the larger one wins where a pair has two events with the same timestamp."""

    def __len__(self) -> int:
        return len(self.users)

    def part(self, start: int, stop: int) -> "Events":
        """Return the events from start up to stop, as views."""
        cut = slice(start, stop)
        return Events(
            self.users[cut], self.items[cut], self.ratings[cut], self.timestamps[cut], self.offsets[cut]
        )


class Pairs(NamedTuple):
    """The arrays behind ``Histories``, for kernels. Each pair has a slot."""

    table: NDArray[np.int32]  # (n_buckets, a power of two,) hash table: slot of a pair, or NONE
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


class Histories:
    """The histories of one side. Only one thread may write; readers hold the lock of ``State``."""

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
            n_live=np.zeros(8, np.int32),
            used=np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        """Return the number of pairs, including withdrawn ones."""
        return int(self.pairs.used[0])

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return sum(array.nbytes for array in self.pairs)

    def reserve(self, n_events: int, n_rows: int) -> None:
        """Make room for n_events more pairs and for n_rows own rows; kernels never grow arrays."""
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
                n_live=_grown(pairs.n_live, size),
            )
        self.pairs = pairs

    def compact(self) -> None:
        """Take the memory of released pairs back once they are more than half of all.

        Readers that hold the lock see the arrays from before or from after.
        """
        n, pairs = len(self), self.pairs
        kept = np.flatnonzero(pairs.timestamps[:n] != NEVER)
        if 2 * len(kept) >= n:
            return
        size = max(len(kept), 8)
        by_slot = {
            name: _grown(getattr(pairs, name)[kept], size)
            for name in ("own", "other", "ratings", "timestamps", "offsets", "following")
        }
        smaller = pairs._replace(
            **by_slot,
            table=np.full(1 << (2 * size).bit_length(), NONE, np.int32),
            newest=np.full(len(pairs.newest), NONE, np.int32),
            used=np.array([len(kept)], np.int64),
        )
        _fill_table(smaller)
        _link(smaller)
        self.pairs = smaller

    def of(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the history of one own row: other rows and ratings, newest pair first."""
        if row >= len(self.pairs.newest):
            return np.empty(0, np.int32), np.empty(0, np.float32)
        slots = slots_of(self.pairs, row)
        return self.pairs.other[slots], self.pairs.ratings[slots]

    def latest(self, row: int, n: int, other_ids: IdTable) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the n latest ratings of one own row, in any order: other rows and ratings.

        They are chosen by time, then by a checksum of the id, so it does not matter in which order the events
        arrived.

        Args:
            row: the own row.
            n: how many at most.
            other_ids: the ids of the other side.
        """
        slots = self._latest_slots(row, n, other_ids)
        return self.pairs.other[slots], self.pairs.ratings[slots]

    def latest_first(
        self, row: int, n: int, other_ids: IdTable
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        """Return the same ratings as ``latest``, latest first: other rows, ratings and times in ms."""
        slots, pairs = self._latest_slots(row, n, other_ids), self.pairs
        ids = [other_ids[other] for other in pairs.other[slots].tolist()]
        key = [
            (-time, zlib.crc32(id_.encode()), id_)
            for time, id_ in zip(pairs.timestamps[slots], ids, strict=True)
        ]
        slots = slots[sorted(range(len(slots)), key=key.__getitem__)]
        return pairs.other[slots], pairs.ratings[slots], pairs.timestamps[slots]

    def _latest_slots(self, row: int, n: int, other_ids: IdTable) -> NDArray[np.int64]:
        if row >= len(self.pairs.newest):
            return np.empty(0, np.int64)
        slots = slots_of(self.pairs, row)
        if len(slots) > n:
            times = self.pairs.timestamps[slots]
            oldest = np.partition(times, -n)[-n]
            later, tied = slots[times > oldest], slots[times == oldest].tolist()
            tied.sort(key=lambda slot: zlib.crc32(other_ids[int(self.pairs.other[slot])].encode()))
            slots = np.concatenate([later, np.array(tied[: n - len(later)], np.int64)])
        return slots

    def n_live(self, rows: Ints) -> Ints:
        """Return the number of ratings of each own row, (n,), without withdrawn ones."""
        found = self.pairs.n_live.take(rows, mode="clip")
        found[rows >= len(self.pairs.n_live)] = 0
        return found

    def live(self) -> NDArray[np.int64]:
        """Return the slots of all pairs that have a rating, ordered by when the pair was first seen."""
        live: NDArray[np.int64] = np.flatnonzero(~np.isnan(self.pairs.ratings[: len(self)]))
        return live

    def forgotten_before(self, rows: Ints) -> NDArray[np.int64]:
        """Return the time in ms up to which the events of each own row are ignored, (n,)."""
        times = np.full(len(rows), NEVER, np.int64)
        known = rows < len(self.pairs.forgotten_before)
        times[known] = self.pairs.forgotten_before[rows[known]]
        return times


@dataclass(frozen=True)
class History:
    """All that is known of users and items, independent of any model. Grows in place; one writer."""

    user_ids: IdTable
    item_ids: IdTable
    user_histories: Histories
    item_histories: Histories
    user_features: dict[int, Features]
    item_features: dict[int, Features]
    unavailable: set[int]
    """Rows of the items that may not be recommended."""

    @classmethod
    def empty(cls) -> "History":
        """Return an empty history."""
        return cls(IdTable(), IdTable(), Histories(), Histories(), {}, {}, set())

    def reserve(self, n_events: int) -> None:
        """Make room for this many new pairs on both sides, and for every interned id."""
        self.user_histories.reserve(n_events, len(self.user_ids))
        self.item_histories.reserve(n_events, len(self.item_ids))

    @property
    def nbytes(self) -> int:
        """Memory of the histories of both sides, in bytes."""
        return self.user_histories.nbytes + self.item_histories.nbytes


def _grown(array: NDArray[Any], size: int, fill: int = 0) -> NDArray[Any]:
    larger = np.full(size, fill, array.dtype)
    larger[: len(array)] = array
    return larger


@kernel
def _first_bucket(own: int, other: int, mask: int) -> int:
    # Fibonacci hashing: the high bits of the product depend on every bit of both rows.
    mixed = np.uint64((np.int64(own) << 32) | np.int64(other)) * np.uint64(0x9E3779B97F4A7C15)
    return int(mixed >> np.uint64(32)) & mask


@kernel
def find(pairs: Pairs, own: int, other: int) -> int:
    """Return the bucket of the hash table that holds this pair, or the free one where it belongs."""
    mask = len(pairs.table) - 1
    bucket = _first_bucket(own, other, mask)
    while True:
        slot = pairs.table[bucket]
        if slot == NONE or (pairs.own[slot] == own and pairs.other[slot] == other):
            return bucket
        bucket = (bucket + 1) & mask


@kernel
def _fill_table(pairs: Pairs) -> None:
    for slot in range(pairs.used[0]):
        pairs.table[find(pairs, pairs.own[slot], pairs.other[slot])] = slot


@kernel
def _link(pairs: Pairs) -> None:
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
    slot = pairs.table[bucket]
    old = np.nan
    if slot == NONE:
        slot = np.int32(pairs.used[0])
        pairs.used[0] += 1
        pairs.table[bucket] = slot
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
