"""Everything rated so far, as columns: read from the log, 28 bytes a rating, no object per rating kept."""

from array import array
from collections.abc import Sequence

import numpy as np

from dch import Ratings
from dch.features import Features
from dch.ids import IdTable
from dch.ratings import latest
from streams import topics
from streams.errors import BadRecord
from streams.messages import FeatureRecord, decode_item, decode_ratings, decode_user
from streams.records import Record
from streams.settings import Settings


class RatingLog:
    """Columns of rating events, and the newest features of users and items.

    Bad records are the worker's to bury; here they are passed over. A record that lies in another partition
    than its user's is there twice once a worker forwarded it, which changes nothing: the latest rating wins.
    """

    def __init__(self, settings: Settings) -> None:
        names = (topics.RATINGS, topics.USERS, topics.ITEMS)
        self.names = [settings.topic(topic.name) for topic in names]
        self._user_ids, self._item_ids = IdTable(), IdTable()
        self._users, self._items = array("i"), array("i")
        self._values, self._times, self._offsets = array("f"), array("q"), array("q")
        self._user_features: dict[str, Features] = {}
        self._item_features: dict[str, Features] = {}
        self._forgotten: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many rating events were read."""
        return len(self._values)

    def read(self, records: Sequence[Record]) -> None:
        """Take in records of any of the topics."""
        ratings, users, items = self.names
        self._read_ratings([record for record in records if record.topic == ratings])
        for record in records:
            if record.topic == users:
                self._read_user(record)
            elif record.topic == items:
                self._read_item(record)

    def ratings(self) -> Ratings:
        """Return the latest rating of each pair, over tables of its own: reading may go on beside it."""
        users, items = np.array(self._users, np.int32), np.array(self._items, np.int32)
        values, times = np.array(self._values, np.float32), np.array(self._times, np.int64)
        order = np.lexsort((np.array(self._offsets, np.int64), times))
        kept = order[latest(users[order], items[order], times[order])]
        kept = kept[~np.isnan(values[kept]) & (times[kept] > self._floors()[users[kept]])]
        return Ratings(
            users[kept],
            items[kept],
            values[kept],
            times[kept],
            IdTable([*self._user_ids, *self._user_features]),
            IdTable([*self._item_ids, *self._item_features]),
            dict(self._user_features),
            dict(self._item_features),
        )

    def _floors(self) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        floors = np.full(len(self._user_ids) + 1, -1, np.int64)
        for user, until in self._forgotten.items():
            row = self._user_ids.row(user)
            if row >= 0:
                floors[row] = until
        return floors

    def _read_ratings(self, records: Sequence[Record]) -> None:
        pairs = [
            (event, record.offset)
            for event, record in zip(decode_ratings(records), records, strict=True)
            if not isinstance(event, BadRecord)
        ]
        events = [event for event, _ in pairs]
        self._users.extend(self._user_ids.intern_many([event.user for event in events]).tolist())
        self._items.extend(self._item_ids.intern_many([event.item for event in events]).tolist())
        self._values.extend(float("nan") if event.rating is None else event.rating for event in events)
        self._times.extend(event.timestamp for event in events)
        self._offsets.extend(offset for _, offset in pairs)

    def _read_user(self, record: Record) -> None:
        try:
            found = decode_user(record)
        except BadRecord:
            return
        _set(self._user_features, found)
        if found.features is None:
            self._forgotten[found.id] = max(self._forgotten.get(found.id, -1), record.timestamp_ms)

    def _read_item(self, record: Record) -> None:
        try:
            _set(self._item_features, decode_item(record))
        except BadRecord:
            return


def _set(features: dict[str, Features], found: FeatureRecord) -> None:
    if found.features is None:
        features.pop(found.id, None)
    else:
        features[found.id] = found.features
