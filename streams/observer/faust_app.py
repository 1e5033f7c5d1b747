"""The observer as a Faust app: it reads `served`, and keeps in a changelog what counts.

Faust's tables write their changelog without waiting, commit after a flush that gives up after 0.1 s, go on
behind a record whose processing failed, and take what they have for all if the reading of the changelog took
too long. So Faust only shares the partitions and reads `served`, in batches. This file acknowledges an offset
once its changelog record and all offsets before it are acknowledged, and counts nothing of an assignment
before the changelog is read up to its end. The state is in ``Observer``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple

import faust
from faust.types import StreamT
from faust.types.tuples import Message

from streams import topics
from streams.errors import TopicError
from streams.kafka import Partition, Patience
from streams.kafka.end_offsets import EndOffsets
from streams.kafka.lag import Lag, Unread, now_ms
from streams.kafka.outbox import Outbox
from streams.kafka.records import Output, Record
from streams.messages import encode_kept
from streams.metrics import REBALANCES
from streams.observer.changelog import ChangelogReader
from streams.observer.faust_consumer import BatchConsumer
from streams.observer.faust_settings import app_settings
from streams.observer.observer import Counted, Observer
from streams.observer.own_reader import OwnReader
from streams.settings import ObserverSettings

log = logging.getLogger("streams.observer")

MAX_WAITING = 4
"""Batches that were counted and wait for their changelog records."""

STOP_S = 5.0
"""Longest wait for Faust to stop: while a broker is away, its consumer would wait for it."""

RAW: dict[str, Any] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}


class Batch(NamedTuple):
    """Messages that were counted, and what has to be on the broker before they are acknowledged."""

    messages: Sequence[Message]
    counted: Counted


class ObserverApp:
    """Runs the observer in the event loop that it is created in.

    Args:
        settings: of the observer.
        outbox: for the changelog and dead letters.
        patience: how long to wait for a broker that is away.
        datadir: a folder for files of Faust.
    """

    def __init__(self, settings: ObserverSettings, outbox: Outbox, patience: Patience, datadir: str) -> None:
        self._outbox = outbox
        self._unacknowledged: asyncio.Queue[Batch] = asyncio.Queue()
        self._has_room = asyncio.Semaphore(MAX_WAITING)
        self._read: dict[int, int] = {}  # by owned partition: the first offset that was not counted
        self._newest: dict[int, Record] = {}  # by partition: the last record that was counted
        self._lag = Lag(settings.prefix)
        self._ends = EndOffsets(settings, "read_uncommitted")  # as Faust reads
        self._generation, self._owned, self._n_partitions = 0, list[int](), settings.partitions
        self._is_assigned, self._is_restored = asyncio.Event(), asyncio.Event()
        self.observer = Observer()
        self._changelog_name = settings.topic(topics.OBSERVER_CHANGELOG.name)
        self._changelog = ChangelogReader(settings, patience, self.observer.restore)
        self.failure: BaseException | None = None
        self.app = faust.App(settings.group_of("observer"), **app_settings(settings, datadir))
        own = {
            "take": staticmethod(self._take),
            "read_on": staticmethod(OwnReader(settings, patience).read),
            "__module__": BatchConsumer.__module__,  # names its logger
        }
        consumer = type("Consumer", (BatchConsumer,), own)
        self.app.transport.Consumer = consumer  # type: ignore[misc] # of this app alone
        name = settings.topic(topics.SERVED.name)
        self._source = self.app.topic(
            name, partitions=settings.partitions, internal=True, allow_empty=True, **RAW
        )
        self.app.agent(self._source, name="count", concurrency=1)(_subscribe)
        self.app.on_partitions_revoked.connect(self._on_revoked)
        self.app.on_partitions_assigned.connect(self._on_assigned)

    @property
    def is_restored(self) -> bool:
        """Whether the changelog of the partitions owned now was read."""
        return self._is_restored.is_set()

    async def run(self, stop: Awaitable[object]) -> None:
        """Count until ``stop`` is done, or something fails; then ``failure`` is set."""
        tasks = [asyncio.create_task(self.guarded(work)) for work in (self._acknowledge(), self._restore())]
        ending = asyncio.ensure_future(stop)
        try:
            await self.guarded(self.app.start())
            while not ending.done() and self.failure is None and not self.app.crashed:
                await asyncio.wait([ending], timeout=0.2)
            self.failure = self.failure or self.app.crash_reason
            await self._stop_faust()
        finally:
            for task in (*tasks, ending):
                task.cancel()

    async def _stop_faust(self) -> None:
        stopping = asyncio.ensure_future(self.app.stop())
        _, late = await asyncio.wait([stopping], timeout=STOP_S)
        if late:
            log.warning("faust did not stop within %g s; nothing more is committed", STOP_S)

    async def show(self) -> None:
        """Set the metrics of windows, totals and lag."""
        self.observer.show()
        topic = self._source.get_topic_name()
        owned = [Partition(topic, number) for number in self._owned if number in self._read]
        self._lag.note(list(self._newest.values()))
        self._lag.show(self._unread(owned), owned, now_ms())

    def _unread(self, owned: Sequence[Partition]) -> dict[Partition, Unread]:
        return {
            one: Unread(max(end.offset - self._read[one.partition], 0), end.as_of_ms)
            for one, end in self._ends.look(owned).items()
        }

    async def _take(self, messages: Sequence[Message]) -> None:
        """Count a batch. An error is kept, and nothing more is read or acknowledged."""
        await self.guarded(self._count(messages))
        if self.failure is not None:
            await asyncio.Event().wait()  # until the app stops

    async def _count(self, messages: Sequence[Message]) -> None:
        generation = self._generation
        await self._is_restored.wait()
        await self._has_room.acquire()  # the last wait, so a batch that is counted is also kept
        owned = [one for one in messages if self._is_of_assignment(one)]
        if generation != self._generation or not owned:
            self._has_room.release()
            return  # they are read again by whoever owns their partitions now
        records = [to_record(one) for one in owned]
        self._unacknowledged.put_nowait(Batch(owned, self.observer.observe(records)))
        for record in records:
            self._read[record.partition], self._newest[record.partition] = record.offset + 1, record

    def _is_of_assignment(self, message: Message) -> bool:
        """Tell whether a message was fetched after the last rebalance: Faust went back then to read again."""
        is_new = message.generation_id == self.app.consumer_generation_id
        return is_new and message.partition in self._owned

    async def _acknowledge(self) -> None:
        """Acknowledge batches in order, once what follows from them is on the broker.

        A thread writes it: a producer whose queue is full waits, and so would the event loop.
        """
        while True:
            waiting = [await self._unacknowledged.get()]
            while not self._unacknowledged.empty():
                waiting.append(self._unacknowledged.get_nowait())
            await asyncio.to_thread(self._write, [counted for _, counted in waiting])
            for messages, _ in waiting:
                for message in messages:
                    self.app.consumer.ack(message)
                self._has_room.release()

    def _write(self, found: Sequence[Counted]) -> None:
        """Write the changelog records and dead letters of batches, and wait until they are on the broker."""
        for counted in found:
            for partition, kept in counted.kept.items():
                for key, value in encode_kept(kept):
                    self._outbox.send(Output(self._changelog_name, key, value, partition))
            for record, reason in counted.bad:
                self._outbox.dead_letter(record, reason)
        self._outbox.flush()

    async def _restore(self) -> None:
        """After each rebalance, read the changelog; then let records be counted."""
        while True:
            await self._is_assigned.wait()
            self._is_assigned.clear()
            generation, owned = self._generation, self._owned
            if owned and owned[-1] >= self._n_partitions:  # it has no changelog
                name = self._source.get_topic_name()
                raise TopicError(topics.partitions_text(name, owned[-1] + 1, self._n_partitions))
            if await self._changelog.read(owned, lambda: generation == self._generation):  # noqa: B023
                self.observer.restored(owned)
                self._read, self._newest = dict(self._changelog.committed), {}
                self._is_restored.set()
                log.info("partitions restored owned=%s", owned)

    async def guarded(self, work: Awaitable[None]) -> None:
        """Do some work; an error stops the observer."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - any failure is a failure of the observer
            self.failure = self.failure or error

    async def _on_revoked(self, *args: object, **kwargs: object) -> None:
        self._begin_generation([])

    async def _on_assigned(self, *args: Any, **kwargs: object) -> None:  # noqa: ANN401 - a signal of Faust
        REBALANCES.inc()
        self._begin_generation(sorted(tp.partition for tp in args[-1]))
        self._is_assigned.set()

    def _begin_generation(self, owned: list[int]) -> None:
        """Count and show nothing until the changelog of these partitions is read."""
        self._is_assigned.clear()
        self._is_restored.clear()
        self.observer.pause()
        self._generation, self._owned, self._read = self._generation + 1, owned, {}


async def _subscribe(stream: StreamT[Any]) -> None:
    """Be the agent that Faust asks for: without one it subscribes to nothing. Its stream gets no messages."""
    async for _ in stream:
        raise AssertionError("messages go to the consumer")


def to_record(message: Message) -> Record:
    """Convert one of Faust's messages with a raw key and value, or one that our own client has read."""
    if isinstance(message.headers, Record):
        return message.headers
    time_ms = round((message.timestamp or 0) * 1000)
    return Record(
        message.topic, message.partition, message.offset, message.key, message.value, max(time_ms, 0)
    )
