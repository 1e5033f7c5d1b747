"""The consumer of Faust, which hands over batches, in a daemon thread.

Faust hands over one message at a time, in two tasks of the event loop and through a queue for each. So the
consumer's own loop is replaced: it takes all that one fetch brought. The thread is a daemon, because it
cannot be ended while a broker is away.

Where aiokafka cannot read a record, our own client reads on; see ``OwnReader``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from faust.tables.manager import TableManager
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from faust.types.tuples import Message
from mode.threads import WorkerThread
from mode.types import ServiceT

from streams.kafka import BEGINNING, Partition
from streams.kafka.records import Record

log = logging.getLogger("streams.observer")

MAX_BATCH = 500
"""Messages that are handed over at a time; between two batches other tasks of the event loop run."""

POLL_S = 1.0

SEEK_SHARE = 0.8
"""Share of ``broker_request_timeout`` that one look at committed offsets and ends may take. After the whole
of it Faust would give up a recovery, and read nothing from then on."""

SIGNAL_S = 1.0
"""Time in which a recovery that waits for this consumer sees the signal to begin again."""

Take = Callable[[Sequence[Message]], Awaitable[None]]
"""Takes messages in the order of their offsets. They are acknowledged later, in this order."""

ReadOn = Callable[[Mapping[Partition, int]], tuple[list[Record], dict[Partition, int]]]
"""Reads the next records from these offsets, and returns also where to go on."""


class DaemonThread(WorkerThread):
    """A thread of Faust that ends with the process."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - those of Faust
        super().__init__(*args, **options)
        self.daemon = True


class DaemonConsumerThread(AIOKafkaConsumerThread):
    """The thread of a consumer, as a daemon."""

    Worker = DaemonThread

    async def move(self, offsets: Mapping[TP, int]) -> None:
        """Read these partitions from these offsets on, where they are still assigned."""
        consumer = self._ensure_consumer()
        for tp in offsets.keys() & set(consumer.assignment()):
            consumer.seek(tp, offsets[tp])


class BatchConsumer(Consumer):
    """A consumer of Faust that hands over batches, and whose thread is a daemon."""

    take: Take
    read_on: ReadOn

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return DaemonConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:
        try:
            return await self._thread.getmany(active_partitions, timeout)
        except UnicodeDecodeError as error:
            log.warning("a header has a name that aiokafka cannot read, reading on without it: %s", error)
            return await self._read_on(active_partitions or ())

    async def _read_on(self, partitions: Iterable[TP]) -> Mapping[TP, list[Any]]:
        """Read the next records of all partitions, since aiokafka has dropped those that it could read.

        The last record before may come once more. The thread does what it is told in order: so a rebalance
        from now on goes to the committed offsets only after the move.
        """
        generation = self.app.consumer_generation_id
        known = {Partition(*tp): self._read_offset.get(tp) for tp in partitions}
        starts = {one: BEGINNING if offset is None else offset for one, offset in known.items()}
        records, offsets = await asyncio.to_thread(self.read_on, starts)
        if generation == self.app.consumer_generation_id:
            moves = {TP(*one): offset for one, offset in offsets.items()}
            await self._thread.call_thread(cast(DaemonConsumerThread, self._thread).move, moves)
        if generation != self.app.consumer_generation_id:
            return {}
        found: dict[TP, list[SimpleNamespace]] = {}
        for record in records:
            found.setdefault(TP(record.topic, record.partition), []).append(as_fetched(record))
        return found

    async def perform_seek(self) -> None:
        """Go to where reading begins. If that takes too long, Faust begins its recovery again.

        The probe ends the process when no broker answers for too long.

        Raises:
            TimeoutError: Faust called this outside of a recovery. It logs the error and goes on.
        """
        limit_s = SEEK_SHARE * self.app.conf.broker_request_timeout
        try:
            async with asyncio.timeout(limit_s):
                await self._seek_to_committed()
        except TimeoutError:
            log.warning("offsets could not be looked up, trying again waited_s=%g", limit_s)
            cast(TableManager, self.app.tables).recovery.signal_recovery_start.set()
            await asyncio.sleep(SIGNAL_S)  # a recovery is cancelled here
            raise

    async def _seek_to_committed(self) -> None:
        """Go to the committed offsets; where one is beyond the end, to the beginning of what is left.

        Such a topic was created again, or has lost its last records. Faust would leave out all records up to
        the committed offset without a word. What was counted before does not count twice.
        """
        await super().perform_seek()
        found = {tp: offset for tp, offset in self._read_offset.items() if offset}
        ends = await self.highwaters(*found) if found else {}
        beyond = [tp for tp, offset in found.items() if offset > ends.get(tp, offset)]
        for tp, beginning in (await self.earliest_offsets(*beyond) if beyond else {}).items():
            text = "read from the beginning: the committed offset is beyond the end topic=%s partition=%d"
            log.warning(text + " committed=%d end=%d", tp.topic, tp.partition, found[tp], ends[tp])
            self._committed_offset[tp] = None
            await self.seek(tp, beginning)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Warn if nothing is fetched. Faust would also warn that no stream is busy, and there is none."""
        self.verify_recovery_event_path(now, tp)

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Hand over what is fetched until the fetcher stops."""
        ends: tuple[type[BaseException], ...] = (asyncio.CancelledError, *self.consumer_stopped_errors)
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                batch: list[Message] = []
                async for tp, message in self.getmany(timeout=POLL_S):
                    if await self._is_next(tp, message.offset):
                        batch.append(message)
                    if len(batch) == MAX_BATCH:
                        await self.take(batch)
                        batch = []
                if batch:
                    await self.take(batch)
        except ends:
            if not self.app.should_stop:
                raise

    async def _is_next(self, tp: TP, offset: int) -> bool:
        """Note that an offset was read; tell Faust of offsets before it that hold no message.

        Markers of transactions are such offsets; they count as acknowledged once the next message is.
        """
        last = self._read_offset[tp]
        if last is not None and offset < last:
            return False  # the partition was sought to a later offset
        if last is not None and offset > last + 1:
            await self._add_gap(tp, last + 1, offset - 1)
        self._read_offset[tp] = offset
        return True


def as_fetched(record: Record) -> SimpleNamespace:
    """Return a record of our own client in the form of aiokafka's: it is there in place of its headers."""
    sizes = [len(part or b"") for part in (record.key, record.value)]
    return SimpleNamespace(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp_ms,
        timestamp_type=0,
        key=record.key,
        value=record.value,
        checksum=None,
        serialized_key_size=sizes[0],
        serialized_value_size=sizes[1],
        headers=record,
    )
