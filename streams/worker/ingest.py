"""The ingest thread, the only writer of the state. Read, apply, write, flush, commit: in this order."""

import logging
import queue
import time
from collections.abc import Sequence

from dch.recommender import Recommender
from streams.errors import BadRecord
from streams.kafka import Consumer, Partition, Producer, Starts
from streams.kafka.dead_letters import dead_letter
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output, Record
from streams.worker.assignment import Share
from streams.worker.context import NewModel, Service, TableBatch
from streams.worker.counters import count_dead_letter, count_events
from streams.worker.gauges import Gauges
from streams.worker.item_codes import ItemCodes
from streams.worker.models import Generations
from streams.worker.ratings import RatingRecords
from streams.worker.users import UserRecords
from streams.worker.warm_up import warm_up

log = logging.getLogger("streams.worker")

POLL_S = 0.1
"""Longest wait for a record; what tables hands over waits no longer than this either."""


def run_ingest(service: Service) -> None:
    """Wait for the first model, read the tables, then ingest until told to stop."""
    first = _first_model(service)
    if first is None:
        return
    warm_up(first.model)
    recommender = Recommender(first.model, new_item_share=service.settings.new_item_share)
    service.newest_published_ms = first.pointer.trained_at
    service.recommender = recommender
    consumer = Consumer(
        service.settings, group=service.group, start="earliest", fill_s=service.settings.batch_wait_s
    )
    producer = Producer(service.settings)
    try:
        Ingest(service, recommender, first, consumer, producer).run()
    finally:
        consumer.close()
        producer.close()


def _first_model(service: Service) -> NewModel | None:
    while not service.stop.is_set():
        try:
            found = service.inbox.get(timeout=POLL_S)
        except queue.Empty:
            continue
        if isinstance(found, NewModel):  # tables sends nothing else before it
            return found
    return None


class Ingest:
    """One worker's writing half."""

    def __init__(
        self,
        service: Service,
        recommender: Recommender,
        first: NewModel,
        consumer: Consumer,
        producer: Producer,
    ) -> None:
        settings, state = service.settings, recommender.state
        self._service, self._state = service, state
        self._consumer, self._producer = consumer, producer
        self._share = Share(settings)
        self._items = ItemCodes(settings, state)
        self._generations = Generations(settings, state, self._items, first, time.monotonic)
        self._users = UserRecords(settings, state, self._send, self._dead_letter)
        self._ratings = RatingRecords(
            service, state, self._share, self._generations, self._send, self._dead_letter
        )
        self._gauges = Gauges(state, consumer)
        self._encoded_at = time.monotonic()
        self._in_batch = False

    def run(self) -> None:
        """Ingest until told to stop; leave with everything applied committed."""
        stop = self._service.stop
        while not stop.is_set() and not (self._service.tables_read.is_set() and self._service.inbox.empty()):
            self._take_handed_over(POLL_S)
        if stop.is_set():
            return
        self._consumer.subscribe(self._share.names, on_assign=self._assigned, on_revoke=self._revoked)
        while not stop.is_set():
            records = self._consumer.poll(POLL_S)
            self._take_handed_over()
            self._apply(records)
            self._encode()
            self._gauges.update(records)

    def _apply(self, records: Sequence[Record]) -> None:
        share, self._in_batch = self._share, bool(records)
        by_topic: dict[str, list[Record]] = {name: [] for name in share.names}
        for record in records:
            by_topic[record.topic].append(record)
        self._ratings.apply(by_topic[share.ratings])
        self._ratings.apply_items(by_topic[share.item_ratings])
        self._apply_users(by_topic[share.users])
        share.note(self._consumer)
        self._apply_held()
        if records:
            self._producer.flush()
            self._commit()
        self._in_batch = False
        self._tell()

    def _tell(self) -> None:
        """Tell the other threads where our state is complete."""
        self._service.caught_up = self._share.caught_up()
        is_done = bool(self._share.owned) and self._share.catch_up.is_done()
        if is_done and not self._service.is_caught_up:
            log.info("caught up partitions=%s", sorted(self._share.owned))
        self._service.is_caught_up = is_done

    def _apply_users(self, records: Sequence[Record], *, was_held: bool = False) -> None:
        for record in records:
            is_live = was_held or bool(self._share.is_live_record(record))
            if is_live and self._share.replays_ratings(record.partition):
                self._users.hold(record)
                continue
            if outcome := self._users.apply(record, is_live=is_live):
                count_events(self._service, record.topic, **{outcome: 1})

    def _apply_held(self) -> None:
        for partition in self._users.holding:
            if not self._share.replays_ratings(partition):
                self._apply_users(self._users.release_held(partition), was_held=True)

    def _commit(self) -> None:
        held = {Partition(self._share.users, partition) for partition in self._users.holding}
        self._consumer.commit(skip=held.union(self._share.replaying()))

    def _take_handed_over(self, wait_s: float = 0.0) -> None:
        """Take what tables has found; no more than what is there now, so that records do not wait."""
        inbox = self._service.inbox
        for _ in range(max(inbox.qsize(), 1)):
            try:
                found = inbox.get(timeout=wait_s) if wait_s else inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(found, NewModel):
                self._generations.offer(found)
            else:
                self._take_tables(found)

    def _take_tables(self, batch: TableBatch) -> None:
        for features, timestamp_ms in batch.items:
            self._state.set_item(features.id, features.features, timestamp_ms)
        self._items.learn(batch.codes)

    def _encode(self) -> None:
        """Publish item codes, and swap generations; not from histories that are still being read again."""
        if time.monotonic() - self._encoded_at < self._service.settings.encode_interval_s:
            return
        self._encoded_at = time.monotonic()
        if self._share.replays_items() or not self._share.owned:
            return
        self._send_all(self._items.refresh())
        self._generations.step(self._send_all)

    def _assigned(self, places: list[Partition]) -> Starts:
        before = self._share.owned
        starts, lost = self._share.take(self._consumer, places)
        self._users.keep_held(before & self._share.owned)
        self._items.owned = self._service.owned = self._share.owned
        self._tell()
        if lost:
            count = self._service.settings.partitions
            known = self._state.history.user_ids
            self._state.release_users([id_ for id_ in known if partition_for(id_.encode(), count) in lost])
            self._state.release_items(self._items.items_of(lost))
        return starts

    def _revoked(self, places: list[Partition]) -> None:
        """Commit what was applied, so that the next owner acts on nothing twice.

        Also called while closing after a failure in mid-batch: then nothing may be committed.
        """
        if not self._in_batch:
            self._producer.flush()
            self._commit()

    def _dead_letter(self, record: Record, reason: BadRecord) -> None:
        self._send(dead_letter(record, reason, group=self._service.group))
        count_dead_letter(self._service, record.topic, reason.reason)

    def _send(self, output: Output) -> None:
        self._producer.send(output)

    def _send_all(self, outputs: list[Output]) -> None:
        for output in outputs:
            self._producer.send(output)
        if outputs:
            self._producer.flush()
