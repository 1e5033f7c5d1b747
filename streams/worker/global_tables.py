"""The tables thread: reads the compacted topics whole, and hands what it finds to ingest.

`models` first, as nothing can be done without one; then `items` and `item-codes`. Every worker reads them
from the beginning at every start; committed offsets only tell which bad records became dead letters already.
"""

import logging
import queue
import time
from collections.abc import Sequence

from streams import topics
from streams.errors import BadRecord
from streams.kafka import BEGINNING, Consumer, Partition, Producer
from streams.kafka.dead_letters import dead_letter
from streams.kafka.records import Record
from streams.kafka.replay import ReplayProgress
from streams.messages import FeatureRecord, decode_item, decode_item_code
from streams.worker.context import NewModel, Service, TableBatch
from streams.worker.counters import count_dead_letter, count_events
from streams.worker.pointers import Pointers

log = logging.getLogger("streams.worker")

POLL_S = 0.2
COMMIT_EVERY_S = 1.0


def run_tables(service: Service) -> None:
    """Read the tables until told to stop."""
    consumer = Consumer(service.settings, group=service.group + "-tables", start="earliest", fill_s=0.0)
    producer = Producer(service.settings)
    try:
        Tables(service, consumer, producer).run()
    finally:
        consumer.close()
        producer.close()


class Tables:
    """Reads `models`, `items` and `item-codes`."""

    def __init__(self, service: Service, consumer: Consumer, producer: Producer) -> None:
        settings = service.settings
        self._service, self._consumer, self._producer = service, consumer, producer
        self._models = Partition(settings.topic(topics.MODELS.name), 0)
        self._items, self._codes = (settings.topic(topic.name) for topic in (topics.ITEMS, topics.ITEM_CODES))
        self._tables = [
            Partition(name, partition)
            for name in (self._items, self._codes)
            for partition in range(settings.partitions)
        ]
        self._pointers = Pointers(settings)
        self._catch_up = ReplayProgress()
        self._newest: dict[str, tuple[int, int, FeatureRecord]] = {}  # by item: timestamp, offset, record
        self._bad: list[tuple[Record, BadRecord]] = []
        self._buried_at = 0.0
        self._committed = consumer.committed([self._models, *self._tables])

    def run(self) -> None:
        """Find the first model, then read all three topics, from here on for ever."""
        self._read_from({self._models: BEGINNING})
        first = self._first_model()
        if first is None:
            return
        self._hand_over(first)
        self._read_from(
            {self._models: self._consumer.position(self._models)} | dict.fromkeys(self._tables, BEGINNING)
        )
        while not self._service.stop.is_set():
            self._handle(self._poll())
            if self._catch_up.is_done():
                self._service.tables_read.set()
            self._bury()

    def _read_from(self, starts: dict[Partition, int | None]) -> None:
        self._consumer.assign(starts)
        beginnings = self._consumer.beginning_offsets(starts)
        at = {place: max(beginnings[place], start or 0) for place, start in starts.items()}
        self._catch_up.expect(at, self._consumer.end_offsets(starts))

    def _poll(self) -> list[Record]:
        records = self._consumer.poll(POLL_S)
        positions = {Partition(record.topic, record.partition): record.offset + 1 for record in records}
        self._catch_up.note(positions)
        return records

    def _first_model(self) -> NewModel | None:
        """Wait for a model that can be used; of those there are, the newest that is whole."""
        while not self._service.stop.is_set():
            for record in self._poll():
                self._read_pointer(record)
            if self._catch_up.is_done() and (found := self._pointers.newest_whole()):
                return found
            self._bury()
        return None

    def _read_pointer(self, record: Record) -> None:
        try:
            self._pointers.read(record)
        except BadRecord as reason:
            self._bad.append((record, reason))

    def _handle(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.topic == self._models.topic:
                self._read_pointer(record)
        batch = TableBatch()
        for record in records:
            if record.topic != self._models.topic:
                self._decode(record, batch)
        if batch.items or batch.codes:
            self._hand_over(batch)
        if found := self._pointers.newest_whole():
            self._hand_over(found)
        for name, count in ((self._items, len(batch.items)), (self._codes, len(batch.codes))):
            count_events(self._service, name, applied=count)

    def _decode(self, record: Record, batch: TableBatch) -> None:
        try:
            if record.topic == self._items:
                batch.items.extend(self._newest_of(record))
            else:
                id_, code = decode_item_code(record)
                batch.codes.append((id_, record.partition, code))
        except BadRecord as reason:
            self._bad.append((record, reason))

    def _newest_of(self, record: Record) -> list[tuple[FeatureRecord, int]]:
        """Return what a record of `items` changes: nothing if a later one of its item was read already.

        Producers with different partitioners put one item into two partitions, which are read in any order.
        A late tombstone takes back the ratings up to its time all the same.
        """
        found, at = decode_item(record), (record.timestamp_ms, record.offset)
        newest_ms, offset, newest = self._newest.get(found.id, (*at, found))
        if at >= (newest_ms, offset):
            self._newest[found.id] = (*at, found)
            return [(found, record.timestamp_ms)]
        return [(found, record.timestamp_ms), (newest, newest_ms)] if found.features is None else []

    def _hand_over(self, found: NewModel | TableBatch) -> None:
        while not self._service.stop.is_set():
            try:
                return self._service.inbox.put(found, timeout=POLL_S)
            except queue.Full:
                continue
        return None

    def _bury(self) -> None:
        """Write dead letters, about once a second: each by the owner of its partition, and only once.

        Nobody owns anything before the first assignment, so bad records wait for it.
        """
        if time.monotonic() - self._buried_at < COMMIT_EVERY_S or not self._service.owned:
            return
        self._buried_at = time.monotonic()
        bad, self._bad = self._bad, []
        for record, reason in bad:
            place = Partition(record.topic, record.partition)
            if record.partition in self._service.owned and record.offset >= self._committed[place]:
                self._producer.send(dead_letter(record, reason, group=self._service.group))
                count_dead_letter(self._service, record.topic, reason.reason)
        if bad:
            self._producer.flush()
        others = [
            place
            for place in (self._models, *self._tables)
            if place.partition not in self._service.owned
            or (self._consumer.position(place) or 0) < self._committed[place]
        ]
        self._consumer.commit(skip=others)
