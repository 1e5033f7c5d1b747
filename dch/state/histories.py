"""Histories: the latest rating of every (own, other) pair, in flat arrays; and the features.

For the user side *own* is a user and *other* an item; for the item side the reverse. The content depends on
the set of events only: of each pair the latest event by (timestamp, offset) counts, so events may repeat and
arrive in any order. Nothing is copied when histories grow.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import IdTable
from dch.models.growing_array import GrowingArray
from dch.models.towers import Ints
from dch.state.pairs import NEVER, NONE, Pairs, fill_table, link, move, slots_of

SLOT_COLUMNS = {
    "own": np.int32,
    "other": np.int32,
    "ratings": np.float32,
    "timestamps": np.int64,
    "offsets": np.int64,
    "following": np.int32,
}
"""The columns of ``Pairs`` that have an element for each slot."""

ROW_COLUMNS = {"newest": (np.int32, NONE), "forgotten_before": (np.int64, NEVER), "n_live": (np.int32, 0)}
"""Those that have an element for each own row, and what a row without pairs has there."""

SMALLEST_TABLE = 16
NO_TABLE = np.empty(0, np.int32)

MOVED_PER_EVENT, MOVED_AT_LEAST = 2, 256
"""Pairs that move to a new hash table before an event is applied; all have moved before it is half full."""


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


class Histories:
    """The histories of one side. Only one thread may write; readers hold the lock of ``State``."""

    def __init__(self) -> None:
        self._by_slot, self._by_row = _slot_arrays(), _row_arrays()
        self._n_to_move = self._n_moved = 0  # slots that the old table knows, and that moved
        self.pairs = Pairs(
            table=np.zeros(SMALLEST_TABLE, np.int32),
            old_table=NO_TABLE,
            used=np.zeros(1, np.int64),
            **_firsts(self._by_slot, 0),
            **_firsts(self._by_row, 0),
        )

    def __len__(self) -> int:
        """Return the number of pairs, including withdrawn ones."""
        return int(self.pairs.used[0])

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return sum(array.nbytes for array in self.pairs)

    def reserve(self, n_events: int, n_rows: int) -> None:
        """Make room for n_events more pairs and for n_rows own rows; kernels never grow arrays.

        O(n_events + new rows), however many pairs there are.
        """
        needed = len(self) + n_events
        if needed > len(self.pairs.own):
            self.pairs = self.pairs._replace(**_firsts(self._by_slot, needed))
        if n_rows > (before := len(self.pairs.newest)):
            rows = _firsts(self._by_row, n_rows)
            for name, (_, fill) in ROW_COLUMNS.items():
                rows[name][before:] = fill
            self.pairs = self.pairs._replace(**rows)
        self._move(MOVED_PER_EVENT * n_events + MOVED_AT_LEAST)
        if 2 * needed > len(self.pairs.table):
            self._begin_table(needed)

    def _begin_table(self, n_pairs: int) -> None:
        """Begin a hash table with room for so many pairs."""
        self._move(self._n_to_move)  # none are left, unless far more events were announced than applied
        self._n_to_move, self._n_moved = len(self), 0
        old = self.pairs.table if len(self) else NO_TABLE
        self.pairs = self.pairs._replace(table=_empty_table(n_pairs), old_table=old)

    def _move(self, n: int) -> None:
        """Move n more pairs to the new hash table, or all that are left; then forget the old one."""
        stop = min(self._n_moved + n, self._n_to_move)
        move(self.pairs, self._n_moved, stop)  # also of none, so that the first call compiles it
        self._n_moved = stop
        if stop == self._n_to_move:
            self.pairs = self.pairs._replace(old_table=NO_TABLE)

    def compact(self) -> None:
        """Take the memory of released pairs back once they are more than half of all.

        Readers see the arrays from before or from after: each takes ``pairs`` once.
        """
        pairs = self.pairs
        kept = np.flatnonzero(pairs.timestamps[: len(self)] != NEVER)
        if 2 * len(kept) >= len(self):
            return
        by_slot, by_row = _slot_arrays(), _row_arrays()
        slots, rows = _firsts(by_slot, len(kept)), _firsts(by_row, len(pairs.newest))
        for name, column in slots.items():
            column[:] = getattr(pairs, name)[kept]
        rows["newest"][:] = NONE
        for name in ("forgotten_before", "n_live"):
            rows[name][:] = getattr(pairs, name)
        table, used = _empty_table(len(kept)), np.array([len(kept)], np.int64)
        smaller = Pairs(table=table, old_table=NO_TABLE, used=used, **slots, **rows)
        fill_table(smaller)
        link(smaller)
        self.pairs, self._by_slot, self._by_row = smaller, by_slot, by_row
        self._n_to_move = self._n_moved = 0

    def of(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the history of one own row: other rows and ratings, newest pair first."""
        pairs = self.pairs
        if row >= len(pairs.newest):
            return np.empty(0, np.int32), np.empty(0, np.float32)
        slots = slots_of(pairs, row)
        return pairs.other[slots], pairs.ratings[slots]

    def latest(self, row: int, n: int, other_ids: IdTable) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the n latest ratings of one own row, in any order: other rows and ratings.

        They are chosen by time, then by a checksum of the id, so it does not matter in which order the events
        arrived.

        Args:
            row: the own row.
            n: how many at most.
            other_ids: the ids of the other side.
        """
        pairs = self.pairs
        slots = _latest_slots(pairs, row, n, other_ids)
        return pairs.other[slots], pairs.ratings[slots]

    def latest_first(
        self, row: int, n: int, other_ids: IdTable
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        """Return the same ratings as ``latest``, latest first: other rows, ratings and times in ms."""
        pairs = self.pairs
        slots = _latest_slots(pairs, row, n, other_ids)
        ids = [other_ids[other] for other in pairs.other[slots].tolist()]
        key = [
            (-time, zlib.crc32(id_.encode()), id_)
            for time, id_ in zip(pairs.timestamps[slots], ids, strict=True)
        ]
        slots = slots[sorted(range(len(slots)), key=key.__getitem__)]
        return pairs.other[slots], pairs.ratings[slots], pairs.timestamps[slots]

    def n_live(self, rows: Ints) -> Ints:
        """Return the number of ratings of each own row, (n,), without withdrawn ones."""
        n_live = self.pairs.n_live
        found = n_live.take(rows, mode="clip")
        found[rows >= len(n_live)] = 0
        return found

    def live(self) -> NDArray[np.int64]:
        """Return the slots of all pairs that have a rating, ordered by when the pair was first seen."""
        live: NDArray[np.int64] = np.flatnonzero(~np.isnan(self.pairs.ratings[: len(self)]))
        return live

    def forgotten_before(self, rows: Ints) -> NDArray[np.int64]:
        """Return the time in ms up to which the events of each own row are ignored, (n,)."""
        forgotten_before = self.pairs.forgotten_before
        times = np.full(len(rows), NEVER, np.int64)
        known = rows < len(forgotten_before)
        times[known] = forgotten_before[rows[known]]
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


def _latest_slots(pairs: Pairs, row: int, n: int, other_ids: IdTable) -> NDArray[np.int64]:
    if row >= len(pairs.newest):
        return np.empty(0, np.int64)
    slots = slots_of(pairs, row)
    if len(slots) > n:
        times = pairs.timestamps[slots]
        oldest = np.partition(times, -n)[-n]
        later, tied = slots[times > oldest], slots[times == oldest].tolist()
        tied.sort(key=lambda slot: zlib.crc32(other_ids[int(pairs.other[slot])].encode()))
        slots = np.concatenate([later, np.array(tied[: n - len(later)], np.int64)])
    return slots


def _slot_arrays() -> dict[str, GrowingArray]:
    return {name: GrowingArray(dtype) for name, dtype in SLOT_COLUMNS.items()}


def _row_arrays() -> dict[str, GrowingArray]:
    return {name: GrowingArray(dtype) for name, (dtype, _) in ROW_COLUMNS.items()}


def _firsts(arrays: Mapping[str, GrowingArray], n: int) -> dict[str, NDArray[Any]]:
    return {name: array.first(n) for name, array in arrays.items()}


def _empty_table(n_pairs: int) -> NDArray[np.int32]:
    return np.zeros(max(1 << (2 * n_pairs).bit_length(), SMALLEST_TABLE), np.int32)
