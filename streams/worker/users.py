"""Applies records of `users`: features of a user, or a tombstone that forgets the user."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from dch.models.growing_array import GrowingArray
from dch.state.state import State
from streams import topics
from streams.errors import BadRecord
from streams.kafka import Partition
from streams.kafka.outbox import Outbox
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output, Record
from streams.messages import FeatureRecord, RatingEvent, decode_user, encode_features, encode_rating
from streams.messages.fields import MAX_OFFSET
from streams.messages.item_ratings import ItemRatings, encode_item_ratings
from streams.messages.keys import encode_key, key_ids
from streams.settings import WorkerSettings
from streams.worker.assignment import Assignment
from streams.worker.counters import count_events
from streams.worker.held_records import HeldRecords


class UserProcessor:
    """Applies records of `users`. Only the ingest thread uses it.

    A tombstone must find every rating that it withdraws. So live records are held back while the ratings of
    their partition are being replayed, and so are all records of that partition that come after them. If too
    many are held back, the others stay in Kafka: no more of these partitions are read until then.

    A record that was written to another partition comes late, behind records that are newer than it by their
    times. The newest one of a user counts. A late tombstone only forgets the ratings up to its time.
    """

    def __init__(
        self, settings: WorkerSettings, state: State, assignment: Assignment, outbox: Outbox
    ) -> None:
        self._settings = settings
        self._state = state
        self._assignment = assignment
        self._outbox = outbox
        self._held = HeldRecords()
        self._newest_ms = GrowingArray(np.int64)  # time of the newest record, by user row; 0 for none

    @property
    def held_partitions(self) -> set[int]:
        """The partitions with records held back; their offsets must not be committed."""
        return self._held.partitions

    def not_to_read(self) -> list[Partition]:
        """Return the partitions of `users` of which no more records can be held back now."""
        if not self._held.is_full():
            return []
        waiting = filter(self._assignment.is_replaying_ratings, self._assignment.owned)
        return [Partition(self._assignment.users, partition) for partition in waiting]

    def drop_held_except(self, owned: frozenset[int]) -> None:
        """Drop the records held back of other partitions than these, after a rebalance.

        They are not committed, so the new owner reads them again. Records of partitions that
        remain owned are kept, because this worker does not read them again.
        """
        self._held.keep_only(owned)

    def release(self, users: Sequence[str]) -> None:
        """Forget the times of users whom another worker serves from now on."""
        rows = self._state.user_rows(users)
        self._newest_ms.first(int(rows.max(initial=-1)) + 1)[rows[rows >= 0]] = 0

    def apply(self, records: Sequence[Record]) -> None:
        """Apply records, or hold back those that must wait for a replay."""
        for record in records:
            must_wait = self._assignment.is_replaying_ratings(record.partition)
            if record.partition in self._held or (must_wait and self._assignment.is_live(record)):
                self._held.add(record)
            else:
                self._apply(record)

    def apply_held(self) -> None:
        """Apply the records held back of partitions whose replay is done."""
        for partition in self.held_partitions:
            if not self._assignment.is_replaying_ratings(partition):
                for record in self._held.take(partition):
                    self._apply(record)

    def _apply(self, record: Record) -> None:
        is_live = self._assignment.is_live(record)  # another worker may have applied one that was held back
        try:
            found = decode_user(record, self._settings.key_form)
        except BadRecord as reason:
            if is_live:
                self._outbox.dead_letter(record, reason)
            return
        owner = partition_for(found.id.encode(), self._settings.partitions)
        if owner == record.partition:
            self._update(found, record, is_live=is_live)
        elif is_live:
            self._outbox.repartition(record, owner, record.key)
            return
        count_events(self._settings, record.topic, **{"applied" if is_live else "replayed": 1})

    def _update(self, found: FeatureRecord, record: Record, *, is_live: bool) -> None:
        """Apply a record of an owned user; of one that comes late, only the tombstone."""
        row = self._row(found.id)
        newest_ms = int(self._newest_ms.first(row + 1)[row]) if row >= 0 else 0
        if record.timestamp_ms < newest_ms:
            newest = FeatureRecord(found.id, self._state.features_of_user(found.id))
            if found.features is None:
                self._set(found, record.timestamp_ms, is_live=is_live)
                self._set(newest, newest_ms, is_live=is_live)
            if is_live:
                self._outbox.send(self._once_more(newest, newest_ms, record))
            return
        self._set(found, record.timestamp_ms, is_live=is_live)
        row = row if row >= 0 else self._row(found.id)
        self._newest_ms.first(row + 1)[row] = record.timestamp_ms

    def _set(self, found: FeatureRecord, timestamp_ms: int, *, is_live: bool) -> None:
        items = self._state.set_user(found.id, found.features, timestamp_ms)
        if is_live:
            for item in items:
                self._outbox.send(withdrawal(self._settings, found.id, item, timestamp_ms))

    def _once_more(self, newest: FeatureRecord, newest_ms: int, late: Record) -> Output:
        """Return the newest record of a user again, behind one that came late.

        Compaction keeps the last record of a key, whatever its time. It would keep the late one alone.
        """
        form = self._settings.key_form
        is_named = key_ids(late.key, "user", form) == [newest.id]
        value = None if newest.features is None else encode_features({**newest.features, "user": newest.id})
        return Output(
            topic=late.topic,
            key=late.key if is_named else encode_key(newest.id, form),
            value=value,
            partition=late.partition,
            timestamp_ms=newest_ms,
            if_refused=partial(
                self._outbox.letter_instead, late, "older than another record of the user, which was refused"
            ),
        )

    def _row(self, user: str) -> int:
        return int(self._state.user_rows([user])[0])


def withdrawal(settings: WorkerSettings, user: str, item: str, timestamp_ms: int) -> Output:
    """Return a rating event that withdraws a forgotten user's rating for good.

    It goes to `ratings` and from there to `item-ratings`. Compaction may drop the tombstone some day, and a
    replay of `ratings` without the withdrawals would then restore the user.
    """
    key, event = user.encode(), RatingEvent(user, item, None, timestamp_ms)
    # A time is judged against that of its record, so both are the tombstone's. A broker refuses it if the
    # tombstone is stamped ahead; then the item alone is told: `item-ratings` takes any time.
    return Output(
        topic=settings.topic(topics.RATINGS.name),
        key=key,
        value=encode_rating(event),
        partition=partition_for(key, settings.partitions),
        timestamp_ms=timestamp_ms or None,
        if_refused=partial(_item_rating, settings, event),
    )


def _item_rating(settings: WorkerSettings, event: RatingEvent) -> Output:
    """Return the record of `item-ratings` that tells one event to the owner of its item."""
    columns = ItemRatings([event.user], [event.item], [event.rating], [event.timestamp], [MAX_OFFSET])
    (value,) = encode_item_ratings(columns)
    owner = partition_for(event.item.encode(), settings.partitions)
    return Output(settings.topic(topics.ITEM_RATINGS.name), None, value, owner)
