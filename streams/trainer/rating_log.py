"""The content of `ratings`, `users` and `items` in memory: columns that take 32 bytes per rating."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import IdTable
from dch.data.ratings import Ratings, latest
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages import FeatureRecord, RatingEvent, decode_ratings

FIRST_CAPACITY = 1024
NEVER = np.iinfo(np.int64).min  # before every timestamp
Watermarks = Mapping[int, int]
"""The first unseen offset of `ratings`, by partition."""


class RatingLog:
    """All ratings and features to train on. Bad records are skipped: the worker writes their dead letters."""

    def __init__(self) -> None:
        self._n = 0
        self._columns = np.zeros(
            FIRST_CAPACITY,
            [
                ("user", np.int32),
                ("item", np.int32),
                ("rating", np.float32),
                ("timestamp", np.int64),
                ("partition", np.int32),
                ("offset", np.int64),
            ],
        )
        self._user_ids, self._item_ids = IdTable(), IdTable()
        self._user_features: dict[str, Features] = {}
        self._item_features: dict[str, Features] = {}
        self._forgotten_users: dict[str, int] = {}
        self._removed_items: dict[str, int] = {}
        self._newest: dict[tuple[str, str], tuple[int, int]] = {}  # (side, id) to (timestamp, offset)

    def __len__(self) -> int:
        """Return the number of rating events read, including withdrawn and repeated ones."""
        return self._n

    def add_ratings(self, records: Sequence[Record]) -> None:
        """Add records of `ratings`.

        A record outside its owner partition is added as well: its repartitioned copy is the same event.
        """
        decoded = decode_ratings(records)
        pairs = [
            (record, event)
            for record, event in zip(records, decoded, strict=True)
            if not isinstance(event, BadRecord)
        ]
        if not pairs:
            return
        events: list[RatingEvent] = [event for _, event in pairs]
        rows = self._append(len(pairs))
        rows["user"] = self._user_ids.intern_many([event.user for event in events])
        rows["item"] = self._item_ids.intern_many([event.item for event in events])
        rows["rating"] = [np.nan if event.rating is None else event.rating for event in events]
        rows["timestamp"] = [event.timestamp for event in events]
        rows["partition"] = [record.partition for record, _ in pairs]
        rows["offset"] = [record.offset for record, _ in pairs]

    def add_user(self, found: FeatureRecord, timestamp_ms: int, offset: int = 0) -> None:
        """Add a record of `users`; a tombstone forgets the ratings up to its time.

        The newest record of a user counts, whatever the order in which partitions are read.
        """
        _note_tombstone(self._forgotten_users, found, timestamp_ms)
        if self._is_newest("user", found.id, (timestamp_ms, offset)):
            _set_features(self._user_features, found)

    def add_item(self, found: FeatureRecord, timestamp_ms: int, offset: int = 0) -> None:
        """Add a record of `items`; see ``add_user``."""
        _note_tombstone(self._removed_items, found, timestamp_ms)
        if self._is_newest("item", found.id, (timestamp_ms, offset)):
            _set_features(self._item_features, found)

    def n_beyond(self, watermarks: Watermarks, start: int = 0) -> int:
        """Count the rating events at or beyond the watermarks, from the ``start``-th event read on."""
        return int(np.count_nonzero(self._is_beyond(slice(start, self._n), watermarks)))

    def ratings(self, watermarks: Watermarks) -> tuple[Ratings, NDArray[np.bool_]]:
        """Return the live ratings, oldest first, and whether each is at or beyond the watermarks, (n,).

        Ids without ratings and features are left out: a model must not keep the id of a forgotten user.
        """
        columns = self._columns[: self._n]
        kept = latest(columns["user"], columns["item"], columns["timestamp"])
        rows = columns[kept]
        dead = np.isnan(rows["rating"])
        dead |= rows["timestamp"] <= _forgotten_before(self._user_ids, self._forgotten_users)[rows["user"]]
        dead |= rows["timestamp"] <= _forgotten_before(self._item_ids, self._removed_items)[rows["item"]]
        kept, rows = kept[~dead], rows[~dead]
        users, user_ids = _compact(rows["user"], self._user_ids, self._user_features)
        items, item_ids = _compact(rows["item"], self._item_ids, self._item_features)
        live = Ratings(
            users=users,
            items=items,
            values=rows["rating"].copy(),
            timestamps=rows["timestamp"].copy(),
            user_ids=user_ids,
            item_ids=item_ids,
            user_features=dict(self._user_features),
            item_features=dict(self._item_features),
        )
        return live, self._is_beyond(kept, watermarks)

    def _is_newest(self, side: str, id_: str, at: tuple[int, int]) -> bool:
        """Tell whether no later record of an id was read; ``at`` is (timestamp, offset)."""
        newest = self._newest[side, id_] = max(at, self._newest.get((side, id_), at))
        return newest == at

    def _is_beyond(self, which: slice | NDArray[np.int64], watermarks: Watermarks) -> NDArray[np.bool_]:
        rows = self._columns[which]
        bounds = np.zeros(max([*watermarks, int(rows["partition"].max(initial=0))]) + 1, np.int64)
        for partition, offset in watermarks.items():
            bounds[partition] = offset
        beyond: NDArray[np.bool_] = rows["offset"] >= bounds[rows["partition"]]
        return beyond

    def _append(self, n: int) -> NDArray[np.void]:
        if self._n + n > len(self._columns):
            larger = np.zeros(max(self._n + n, 2 * len(self._columns)), self._columns.dtype)
            larger[: self._n] = self._columns[: self._n]
            self._columns = larger
        self._n += n
        return self._columns[self._n - n : self._n]


class UnseenRatings:
    """Counts the rating events of a log at or beyond watermarks, also those that are read later."""

    def __init__(self, log: RatingLog) -> None:
        self._log = log
        self.restart({})

    def restart(self, watermarks: Watermarks) -> None:
        """Count from other watermarks, over the whole log."""
        self._watermarks = watermarks
        self._n_looked_at = self._n_unseen = 0

    def count(self) -> int:
        """Return the number of events at or beyond the watermarks. Each event is looked at once."""
        self._n_unseen += self._log.n_beyond(self._watermarks, self._n_looked_at)
        self._n_looked_at = len(self._log)
        return self._n_unseen


def _note_tombstone(forgotten: dict[str, int], found: FeatureRecord, timestamp_ms: int) -> None:
    if found.features is None:
        forgotten[found.id] = max(forgotten.get(found.id, 0), timestamp_ms)


def _set_features(known: dict[str, Features], found: FeatureRecord) -> None:
    if found.features is None:
        known.pop(found.id, None)
    else:
        known[found.id] = found.features


def _forgotten_before(ids: IdTable, forgotten: Mapping[str, int]) -> NDArray[np.int64]:
    """Return by row the time up to which ratings are forgotten, (len(ids) + 1,)."""
    forgotten_before = np.full(len(ids) + 1, NEVER, np.int64)
    for id_, timestamp_ms in forgotten.items():
        if (row := ids.row(id_)) >= 0:
            forgotten_before[row] = timestamp_ms
    return forgotten_before


def _compact(
    rows: NDArray[np.int32], ids: IdTable, features: Mapping[str, Features]
) -> tuple[NDArray[np.int32], IdTable]:
    """Return the rows in a new table, which holds only ids with ratings or features."""
    used, new_rows = np.unique(rows, return_inverse=True)
    table = IdTable(ids[row] for row in used.tolist())
    table.intern_many(list(features))
    return new_rows.astype(np.int32), table
