"""The ingest thread: reads records, applies them, writes the outputs, flushes, and commits, in this order.

It is the only thread that writes to the recommender's state. Because the commit comes last, a crash at any
point repeats work and loses none (at-least-once delivery). Applying a record again changes nothing.
"""

import logging
import queue
import time
from collections.abc import Sequence

from dch.recommender import Recommender
from streams.errors import BrokerUnavailableError, StoppedError
from streams.kafka import Consumer, Partition, Producer, Starts
from streams.kafka.outbox import Outbox
from streams.kafka.records import Record
from streams.worker.assignment import Assignment
from streams.worker.context import FetchedModel, TableBatch, WorkerContext
from streams.worker.counters import Gauges, timed
from streams.worker.item_codes import ItemCodeTable
from streams.worker.models import ModelSwapper, warm_up
from streams.worker.ratings import RatingProcessor
from streams.worker.users import UserProcessor

log = logging.getLogger("streams.worker")

POLL_S = 0.1
"""Longest wait for a record. Entries of the table queue wait no longer than this either."""


def run_ingest(context: WorkerContext) -> None:
    """Wait for the first model, apply the global tables, then ingest records until stopped."""
    first = _first_model(context)
    if first is None:
        return
    log.info("loading kernels; the first start after an installation compiles them, for about a minute")
    warm_up(first.model)
    recommender = Recommender(first.model, new_item_share=context.settings.new_item_share)
    context.first_fit_ms = first.pointer.trained_at
    context.recommender = recommender
    settings, patience = context.settings, context.patience
    consumer = Consumer(
        settings, group=context.group, start="earliest", fill_s=settings.batch_wait_s, patience=patience
    )
    producer = Producer(settings, patience=patience)
    try:
        Ingest(context, recommender, first, consumer, producer).run()
    finally:
        consumer.close()
        producer.close()


def _first_model(context: WorkerContext) -> FetchedModel | None:
    while not context.stop.is_set():
        try:
            found = context.table_queue.get(timeout=POLL_S)
        except queue.Empty:
            continue
        if isinstance(found, FetchedModel):  # tables queues nothing else before it
            return found
    return None


class Ingest:
    """Applies records to the state and writes their outputs."""

    def __init__(
        self,
        context: WorkerContext,
        recommender: Recommender,
        first: FetchedModel,
        consumer: Consumer,
        producer: Producer,
    ) -> None:
        settings, state = context.settings, recommender.state
        self._context, self._state, self._consumer = context, state, consumer
        self._outbox = Outbox(settings, producer, group=context.group)
        self._assignment = Assignment(settings)
        self._item_codes = ItemCodeTable(settings, state)
        self._models = ModelSwapper(settings, state, self._item_codes, self._outbox, first)
        self._users = UserProcessor(settings, state, self._assignment, self._outbox)
        self._ratings = RatingProcessor(
            context, state, self._assignment, self._models, self._item_codes.owners, self._outbox
        )
        self._gauges = Gauges(settings, state, consumer)
        self._encoded_at = time.monotonic()
        self._has_item_codes = False  # whether lists can be made: from then on, always

    def run(self) -> None:
        """Ingest until stopped. Everything that was applied is committed when it returns."""
        stop = self._context.stop
        self._apply_tables_read_at_start()
        if stop.is_set():
            return
        self._has_item_codes = self._state.n_codes()[1] > 0
        self._consumer.subscribe(
            self._assignment.topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        while not stop.is_set():
            records = self._consumer.poll(0.0 if self._is_encoding_due() else POLL_S)
            self.settle_doubt()
            self._apply_queued_tables()
            self.process(records)
            if self._is_encoding_due():
                self.encode_items()
            self._gauges.update(records, self._assignment.partitions())

    def settle_doubt(self) -> None:
        """After a standstill, let requests be answered again once no other worker can have newer state."""
        standstill = self._context.standstill
        if not standstill.look() or not self._assignment.is_settled:
            return
        count = standstill.count
        try:
            if self._consumer.confirm_membership() and not self._assignment.is_overtaken(self._consumer):
                standstill.settle(count)
        except BrokerUnavailableError as reason:  # for now; polls tell when it is for good
            log.info("the membership is not known yet reason=%s", reason)

    def process(self, records: Sequence[Record]) -> None:
        """Apply the records of a poll, write their outputs, flush, and commit.

        Call it after an empty poll, too: user records that were held back may be due, and the consumer may
        have stepped over the marker of a transaction.
        """
        by_topic: dict[str, list[Record]] = {name: [] for name in self._assignment.topics}
        for record in records:
            by_topic[record.topic].append(record)
        with timed("ratings"):
            self._ratings.apply(by_topic[self._assignment.ratings])
        with timed("item-ratings"):
            self._ratings.apply_item_ratings(by_topic[self._assignment.item_ratings])
        self._users.apply(by_topic[self._assignment.users])
        self._assignment.record_positions(self._consumer)
        self._users.apply_held()
        self._consumer.pause(self._users.not_to_read())
        self._outbox.flush()
        held = {Partition(self._assignment.users, number) for number in self._users.held_partitions}
        self._consumer.mark_applied(skip=held)
        self._commit()
        self._assignment.await_the_group(self._consumer)
        self._share_progress()

    def encode_items(self) -> None:
        """Encode and publish some of the items that changed; it stays due until none is left."""
        if not self._has_complete_items():
            self._encoded_at = time.monotonic()
            return
        if self._assignment.is_caught_up():
            self._item_codes.recheck()
        with timed("item-codes"):
            for output in self._item_codes.refresh():
                self._outbox.send(output)  # flushed with the outputs of the next poll
        if not self._item_codes.n_waiting:
            self._encoded_at = time.monotonic()
            self._has_item_codes |= self._assignment.is_caught_up()
            self._models.swap_when_ready(self._stop_if_told)

    def _commit(self) -> None:
        self._consumer.commit(skip=self._assignment.replaying())

    def _share_progress(self) -> None:
        """Publish to the other threads which partitions are caught up, and none before lists can be made.

        It is another object after each change: a request that is answered meanwhile notices it.
        """
        caught_up = self._assignment.caught_up() if self._has_item_codes else frozenset()
        if caught_up != self._context.caught_up:
            self._context.caught_up = caught_up
        is_caught_up = self._assignment.is_caught_up()
        if is_caught_up and not self._context.is_caught_up:
            log.info("caught up partitions=%s", sorted(self._assignment.owned))
        self._context.is_caught_up = is_caught_up

    def _is_encoding_due(self) -> bool:
        return time.monotonic() - self._encoded_at >= self._context.settings.encode_interval_s

    def _stop_if_told(self) -> None:
        if self._context.stop.is_set():
            raise StoppedError("stopped while a model was prepared, which a later start does again")

    def _has_complete_items(self) -> bool:
        """Return whether the histories of the owned items are complete, so that their codes are final."""
        is_owner = self._assignment.is_settled and not self._context.standstill.look()
        return bool(self._assignment.owned) and is_owner and not self._assignment.is_replaying_item_ratings()

    def _apply_tables_read_at_start(self) -> None:
        context = self._context
        while not context.stop.is_set() and not (
            context.tables_read.is_set() and context.table_queue.empty()
        ):
            self._apply_queued_tables(POLL_S)

    def _apply_queued_tables(self, wait_s: float = 0.0) -> None:
        """Apply the entries that are in the table queue now, and no more, so that records do not wait."""
        table_queue = self._context.table_queue
        for _ in range(max(table_queue.qsize(), 1)):
            try:
                found = table_queue.get(timeout=wait_s) if wait_s else table_queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(found, FetchedModel):
                self._models.offer(found)
            else:
                self._apply_table_batch(found)

    def _apply_table_batch(self, batch: TableBatch) -> None:
        self._state.set_items([(one.id, one.features, timestamp_ms) for one, timestamp_ms in batch.items])
        self._item_codes.update(batch.repeated_codes, are_repeated=True)
        self._item_codes.update(batch.codes)

    def _assigned(self, partitions: list[Partition]) -> Starts:
        owned_before = self._assignment.owned
        starts, lost = self._assignment.update(self._consumer, partitions)
        self._users.drop_held_except(owned_before & self._assignment.owned)
        self._item_codes.owned = self._context.owned = self._assignment.owned
        self._share_progress()
        self._release(lost)
        return starts

    def _release(self, lost: frozenset[int]) -> None:
        """Drop the histories of the users and items that other workers own from now on."""
        if lost:
            self._users.release(users := self._ratings.users_of(lost))
            self._state.release_users(users)
            self._state.release_items(self._item_codes.items_of(lost))
            self._item_codes.serve_published_of(lost)

    def _revoked(self, partitions: list[Partition]) -> None:
        """Commit what was applied, so that the next owner does not write the same outputs again.

        The consumer also calls this when it is closed after a failure. Records that were polled and not
        applied by then are not committed, because they were not marked as applied.
        """
        self._commit()
        self._assignment.revoke(is_lost=False)

    def _lost(self, partitions: list[Partition]) -> None:
        """Answer nothing: the group took this worker for dead, and others may own its partitions."""
        log.warning("the group has given away the partitions owned=%s", sorted(self._assignment.owned))
        self._assignment.revoke(is_lost=True)
        self._context.owned = frozenset()
        self._share_progress()
