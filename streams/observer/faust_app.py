"""The observer as a Faust app: it reads `served`, and keeps in a changelog what counts.

Faust's table writes its changelog without waiting, commits after a flush that gives up after 0.1 s, and goes
on behind a record whose processing failed. So this file writes the changelog itself and acknowledges an
offset only once the changelog record and all offsets before it are acknowledged. Of Faust's table it uses
the reading of the changelog at a start and after a rebalance; the state is in ``Observer``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import Any

import faust
from faust.types import TP, EventT, StreamT
from faust.types.tuples import Message

from streams import topics
from streams.errors import BadRecord
from streams.kafka.outbox import Outbox
from streams.kafka.records import Record
from streams.metrics import CONSUMER_LAG_RECORDS, REBALANCES
from streams.observer.faust_settings import app_settings
from streams.observer.observer import Observer
from streams.settings import ObserverSettings

log = logging.getLogger("streams.observer")

MAX_UNACKNOWLEDGED = 2000
"""Records that were counted and wait for their changelog record."""

RAW: dict[str, Any] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}


class CountedRecords(faust.Table):  # type: ignore[type-arg]
    """A table without data of its own: what is read of its changelog goes to the observer."""

    observer: Observer

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Restore the state from records of the changelog, in order."""
        for event in batch:
            self.observer.restore(to_record(event.message))

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Count from now on; the changelog was read up to its end."""
        await super().on_recovery_completed(active_tps, standby_tps)
        owned = sorted(tp.partition for tp in active_tps if tp.topic == self.changelog_topic_name)
        self.observer.restored(owned)
        log.info("partitions restored owned=%s", owned)


class ObserverApp:
    """Runs the observer in the event loop that it is created in.

    Args:
        settings: of the observer.
        outbox: for dead letters.
        datadir: a folder for files of Faust.
    """

    def __init__(self, settings: ObserverSettings, outbox: Outbox, datadir: str) -> None:
        self._outbox = outbox
        self._unacknowledged: asyncio.Queue[tuple[EventT[Any], Awaitable[object] | None]] = asyncio.Queue(
            MAX_UNACKNOWLEDGED
        )
        self._read: dict[int, int] = {}  # by partition: the offset after the last record that was counted
        self.observer = Observer()
        self.failure: BaseException | None = None
        self.is_restored = False
        self.app = faust.App(settings.group_of("observer"), **app_settings(settings, datadir))
        self._source = self._topic(settings, topics.SERVED)
        self._changelog = self._topic(settings, topics.OBSERVER_CHANGELOG, acks=False, maxsize=131_072)
        table = CountedRecords(
            self.app,
            name=topics.SERVED.name,
            partitions=settings.partitions,
            changelog_topic=self._changelog,
            key_type=bytes,
            value_type=bytes,
        )
        table.observer = self.observer
        table.on_recover(self._on_recover)
        self.app.tables.add(table)
        self.app.agent(self._source, name="count", concurrency=1)(self._count)
        self.app.on_partitions_revoked.connect(self._on_revoked)
        self.app.on_partitions_assigned.connect(self._on_assigned)

    async def run(self, stop: Awaitable[object]) -> None:
        """Count until ``stop`` is done, or something fails; then ``failure`` is set."""
        acknowledging = asyncio.create_task(self.guarded(self._acknowledge()))
        ending = asyncio.ensure_future(stop)
        try:
            await self.app.start()
            while not ending.done() and self.failure is None and not self.app.crashed:
                await asyncio.wait([ending], timeout=0.2)
            self.failure = self.failure or self.app.crash_reason
            await self.app.stop()
        finally:
            acknowledging.cancel()
            ending.cancel()

    async def show(self) -> None:
        """Set the metrics of windows, totals and lag."""
        self.observer.show()
        topic = self._source.get_topic_name()
        for number in self.observer.partitions:
            end = self.app.consumer.highwater(TP(topic, number)) if self.is_restored else None
            if end is not None and number in self._read:
                lag = max(end - self._read[number], 0)
                CONSUMER_LAG_RECORDS.labels(topics.SERVED.name, str(number)).set(lag)

    def _topic(self, settings: ObserverSettings, topic: topics.Topic, **options: Any) -> Any:  # noqa: ANN401
        name = settings.topic(topic.name)
        return self.app.topic(
            name, partitions=settings.partitions, internal=True, allow_empty=True, **RAW, **options
        )

    async def _count(self, stream: StreamT[Any]) -> None:
        """Count records until the app stops. An error is kept, and nothing more is read or acknowledged."""
        async for event in stream.noack().events():  # type: ignore[attr-defined] # acknowledged below
            await self.guarded(self._count_event(event))
            if self.failure is not None:
                await asyncio.Event().wait()  # until the app stops; to return would be to start again

    async def _count_event(self, event: EventT[Any]) -> None:
        record = to_record(event.message)
        done: Awaitable[object] | None = None
        try:
            key = self.observer.observe(record)
            if key is not None:
                done = await self._changelog.send(key=key, value=record.value, partition=record.partition)
        except BadRecord as reason:
            self._outbox.dead_letter(record, reason)
            done = asyncio.to_thread(self._outbox.flush)
        self._read[record.partition] = record.offset + 1
        await self._unacknowledged.put((event, done))

    async def _acknowledge(self) -> None:
        """Acknowledge records in order, each once what follows from it is on the broker."""
        while True:
            event, done = await self._unacknowledged.get()
            if done is not None:
                await done
            event.ack()

    async def guarded(self, work: Awaitable[None]) -> None:
        """Do some work; an error stops the observer."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - any failure is a failure of the observer
            self.failure = self.failure or error

    async def _on_revoked(self, *args: object, **kwargs: object) -> None:
        self.is_restored = False
        self.observer.pause()

    async def _on_assigned(self, *args: object, **kwargs: object) -> None:
        REBALANCES.inc()

    async def _on_recover(self) -> None:
        self.is_restored = True


def to_record(message: Message) -> Record:
    """Convert one of Faust's messages with a raw key and value."""
    time_ms = round((message.timestamp or 0) * 1000)
    return Record(
        message.topic, message.partition, message.offset, message.key, message.value, max(time_ms, 0)
    )
