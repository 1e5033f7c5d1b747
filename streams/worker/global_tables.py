"""The tables thread: reads the global tables, and queues what it finds for ingest.

The global tables are the compacted topics that every worker reads in full: `models`, `items` and
`item-codes`. `models` is read first, because nothing can be served without a model. Every worker reads all
three from the beginning at each start. Their committed offsets only show which bad records were written to
the dead letters before; see `kept_letters`.
"""

import logging
import queue
import time
from collections.abc import Sequence

from streams import topics
from streams.errors import BadRecord
from streams.kafka import BEGINNING, Consumer, Partition, Producer
from streams.kafka.added_partitions import AddedPartitions
from streams.kafka.outbox import Outbox
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.kafka.replay import ReplayProgress
from streams.messages import FeatureRecord, ItemCode, decode_item, decode_item_code, decode_model_pointer
from streams.messages.fields import key_id
from streams.messages.item_codes import UNREADABLE
from streams.settings import WorkerSettings
from streams.worker.context import FetchedModel, TableBatch, WorkerContext
from streams.worker.counters import count_events
from streams.worker.kept_letters import KeptLetters, partition_of
from streams.worker.model_fetcher import ModelFetcher

log = logging.getLogger("streams.worker")

POLL_S = 0.2
COMMIT_INTERVAL_S = 1.0
"""Time between two commits; the dead letters of the owned partitions are written just before."""


def run_global_tables(context: WorkerContext) -> None:
    """Read the global tables until stopped."""
    settings, group, patience = context.settings, context.group + "-tables", context.patience
    consumer = Consumer(settings, group=group, start="earliest", fill_s=0.0, patience=patience)
    producer = Producer(settings, patience=patience)
    try:
        GlobalTables(context, consumer, producer).run()
    finally:
        consumer.close()
        producer.close()


class GlobalTables:
    """Reads `models`, `items` and `item-codes`. Only the tables thread uses it."""

    def __init__(self, context: WorkerContext, consumer: Consumer, producer: Producer) -> None:
        settings = context.settings
        self._context, self._consumer = context, consumer
        self._models = Partition(settings.topic(topics.MODELS.name), 0)
        self._items, self._codes = (settings.topic(topic.name) for topic in (topics.ITEMS, topics.ITEM_CODES))
        self._partitions = [
            Partition(name, number)
            for name in (self._items, self._codes)
            for number in range(settings.partitions)
        ]
        self._added = AddedPartitions(settings, consumer)
        self._fetcher = ModelFetcher(context)
        self._has_missed_codes = False  # of models that were not known when their codes were read
        self._read_before: dict[Partition, int] = {}  # of records read again: their bad ones are known
        self._to_end = ReplayProgress()
        self._newest: dict[str, tuple[int, int, FeatureRecord]] = {}  # by item: timestamp, offset, record
        self._starts: dict[Partition, int] = {}  # where reading began, or was begun again, last
        self._committed_at = 0.0
        outbox = Outbox(settings, producer, group=context.group)
        self._letters = KeptLetters(consumer, outbox, [self._models, *self._partitions])

    def run(self) -> None:
        """Find the first model, then read all three topics until stopped."""
        self._read_from({self._models: BEGINNING})
        first = self._first_model()
        if first is None:
            return
        self._enqueue(first)
        self._read_from(
            {self._models: self._place(self._models)} | dict.fromkeys(self._partitions, BEGINNING)
        )
        while not self._context.stop.is_set():
            self.process(self._poll())
            if self._context.stop.is_set():
                return  # what could not be queued any more was not applied
            self._consumer.mark_applied()
            if self._to_end.is_done():
                self._context.tables_read.set()
            self._commit_when_due()

    def process(self, records: Sequence[Record]) -> None:
        """Decode records, and queue what they hold: the newest model first, then items and codes."""
        for record in records:
            if record.topic == self._models.topic:
                self._read_pointer(record)
        if model := self._fetcher.fetch_newest():
            self._enqueue(model)
        batch = self.decode([record for record in records if record.topic != self._models.topic])
        if batch.items or batch.codes or batch.repeated_codes:
            self._enqueue(batch)
        if model:
            self._read_missed_codes()
        for name, count in ((self._items, len(batch.items)), (self._codes, _n_readable(batch))):
            count_events(self._context.settings, name, applied=count)

    def decode(self, records: Sequence[Record]) -> TableBatch:
        """Decode records of `items` and `item-codes`; keep the bad ones for the dead letters."""
        batch = TableBatch()
        for record in records:
            try:
                if record.topic == self._items:
                    batch.items.extend(self._newest_of(record))
                else:
                    self._decode_code(record, batch)
            except BadRecord as reason:
                self._letters.keep(record, reason)
        return batch

    def _decode_code(self, record: Record, batch: TableBatch) -> None:
        """Add an item code to a batch, and also one that cannot be read: its owner has to replace it.

        Raises:
            BadRecord: the record is bad, or in another partition than its item, where no owner replaces it.
        """
        try:
            item, code = decode_item_code(record)
        except BadRecord:
            self._add_code(key_id(record.key), record, UNREADABLE, batch)
            raise
        self._add_code(item, record, code, batch)
        self._has_missed_codes |= code is not None and self._fetcher.may_be_next(code)

    def _add_code(self, item: str, record: Record, code: ItemCode | None, batch: TableBatch) -> None:
        owner = partition_for(item.encode(), self._context.settings.partitions)
        if record.partition != owner:
            fault = f"found in partition {record.partition}, but the item belongs to partition {owner}"
            raise BadRecord("key", fault, reason="key")
        is_repeated = self._read_before and self._is_repeated(record)
        (batch.repeated_codes if is_repeated else batch.codes).append((item, owner, code))

    def _read_missed_codes(self) -> None:
        """Read `item-codes` again if it may hold codes of a model that was not known when they were read.

        Ingest keeps only the codes of models that it knows, so that no record can fill its memory. The codes
        of a model come early if the store gave the model late, or if `models` was read late.
        """
        if not self._has_missed_codes:
            return
        self._has_missed_codes = False
        self._read_again({one: BEGINNING for one in self._partitions if one.topic == self._codes})

    def _read_again(self, starts: dict[Partition, int]) -> None:
        """Read these partitions again from these offsets, and go on with the others."""
        places = {one: self._place(one) for one in (self._models, *self._partitions)}
        for one in starts:
            self._read_before[one] = max(places[one], self._read_before.get(one, 0))
        self._read_from(places | starts)

    def _place(self, partition: Partition) -> int:
        """Return the next offset to read: where reading began last, if nothing was read since."""
        at = self._consumer.position(partition)
        return self._starts.get(partition, BEGINNING) if at is None else at

    def _read_from(self, starts: dict[Partition, int]) -> None:
        self._to_end.begin(self._consumer, starts)
        self._starts = starts

    def _poll(self) -> list[Record]:
        self._added.refuse()
        records = self._consumer.poll(POLL_S)
        self._to_end.note(self._consumer)
        return records

    def _first_model(self) -> FetchedModel | None:
        """Wait for a valid model. If several are published already, return the newest valid one."""
        is_told = False
        while not self._context.stop.is_set():
            for record in self._poll():
                self._read_pointer(record)
            self._consumer.mark_applied()
            if self._to_end.is_done():
                if model := self._fetcher.fetch_newest():
                    return model
                if not is_told and self._context.awaited_model is None:  # else the fetcher tells of the store
                    log.info("%s", waiting_text(self._context.settings))
                    is_told = True
            self._commit_when_due()
        return None

    def _read_pointer(self, record: Record) -> None:
        """Tell the fetcher of a pointer, once; a bad one that is read again may not be kept yet."""
        try:
            if self._is_repeated(record):
                decode_model_pointer(record)
            else:
                self._fetcher.read(record)
        except BadRecord as reason:
            self._letters.keep(record, reason)

    def _newest_of(self, record: Record) -> list[tuple[FeatureRecord, int]]:
        """Return the feature records to apply for a record of `items`, each with its time.

        Producers with different partitioners may write one item to two partitions, which are read in any
        order. So a record is skipped if a later one of its item was read before. A tombstone that is read
        late still removes the ratings up to its time; the newest record is then applied again after it.
        """
        found = decode_item(record, self._context.settings.key_form)
        at = (record.timestamp_ms, record.offset)
        newest_ms, offset, newest = self._newest.get(found.id, (*at, found))
        if at >= (newest_ms, offset):
            self._newest[found.id] = (*at, found)
            return [(found, record.timestamp_ms)]
        return [(found, record.timestamp_ms), (newest, newest_ms)] if found.features is None else []

    def _enqueue(self, found: FetchedModel | TableBatch) -> None:
        while not self._context.stop.is_set():
            try:
                return self._context.table_queue.put(found, timeout=POLL_S)
            except queue.Full:
                continue
        return None

    def _commit_when_due(self) -> None:
        """Write the dead letters of the owned partitions and commit these, about once a second."""
        if time.monotonic() - self._committed_at < COMMIT_INTERVAL_S:
            return
        self._committed_at = time.monotonic()
        owned = self._context.owned  # once: a partition gained meanwhile is committed next time
        if starts := self._letters.commit(owned):
            log.warning("reading records again, because too many were bad partitions=%s", sorted(starts))
            self._read_again(starts)

    def _is_repeated(self, record: Record) -> bool:
        return record.offset < self._read_before.get(partition_of(record), 0)


def waiting_text(settings: WorkerSettings) -> str:
    """Return what a worker waits for that has no model, and how to get one."""
    prefix = f" --prefix {settings.prefix}" if settings.prefix else ""
    topic = settings.topic(topics.MODELS.name)
    return f"waiting for a model on {topic}; a trainer publishes one: dch trainer{prefix}"


def _n_readable(batch: TableBatch) -> int:
    return sum(code is not UNREADABLE for _, _, code in [*batch.repeated_codes, *batch.codes])
