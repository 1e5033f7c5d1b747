"""The consumer of Faust, which hands over batches, in a daemon thread.

Faust hands over one message at a time, in two tasks of the event loop and through a queue for each. So the
consumer's own loop is replaced: it takes all that one fetch brought. The thread is a daemon, because it
cannot be ended while a broker is away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from faust.types.tuples import Message
from mode.threads import WorkerThread
from mode.types import ServiceT

MAX_BATCH = 500
"""Messages that are handed over at a time; between two batches other tasks of the event loop run."""

POLL_S = 1.0

Take = Callable[[Sequence[Message]], Awaitable[None]]
"""Takes messages in the order of their offsets. They are acknowledged later, in this order."""


class DaemonThread(WorkerThread):
    """A thread of Faust that ends with the process."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - those of Faust
        super().__init__(*args, **options)
        self.daemon = True


class DaemonConsumerThread(AIOKafkaConsumerThread):
    """The thread of a consumer, as a daemon."""

    Worker = DaemonThread


class BatchConsumer(Consumer):
    """A consumer of Faust that hands over batches, and whose thread is a daemon."""

    take: Take

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return DaemonConsumerThread(self, loop=self.loop, beacon=self.beacon)

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
