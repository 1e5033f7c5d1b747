"""Reads `observer-changelog` from where a process has read it before up to its end, after each rebalance."""

import asyncio
from collections.abc import Callable, Sequence

from streams import topics
from streams.kafka import BEGINNING, Consumer, Partition, Patience
from streams.kafka.records import Record
from streams.kafka.replay import ReplayProgress
from streams.settings import ObserverSettings


class ChangelogReader:
    """Reads what was counted of the partitions that a process owns. Its methods run in one event loop.

    Args:
        settings: of the observer.
        patience: how long to wait for a broker that is away.
        restore: takes each record, in the event loop.
    """

    def __init__(
        self, settings: ObserverSettings, patience: Patience, restore: Callable[[Record], None]
    ) -> None:
        self._settings, self._patience, self._restore = settings, patience, restore
        self._topic = settings.topic(topics.OBSERVER_CHANGELOG.name)
        self._served = settings.topic(topics.SERVED.name)
        self._read: dict[int, int] = {}  # by owned partition: the first offset that was not read
        self.committed: dict[int, int] = {}
        """By owned partition: the committed offset of `served`, from which counting goes on."""

    async def read(self, owned: Sequence[int], is_current: Callable[[], bool]) -> bool:
        """Read the changelog of these partitions up to its present end; return whether it was reached.

        What an owner before has committed is before that end: it had to be in the changelog, and since the
        rebalance the broker refuses the commits of that owner.

        Args:
            owned: numbers of the partitions.
            is_current: whether they still belong to this process; if not, reading ends early.

        Raises:
            BrokerUnavailableError, BrokerRefusedError, StoppedError: as for ``Consumer``.
        """
        group = self._settings.group_of("observer")
        consumer = Consumer(self._settings, group=group, start="earliest", patience=self._patience)
        try:
            return await self._read_with(consumer, owned, is_current)
        finally:
            await asyncio.to_thread(consumer.close)

    async def _read_with(
        self, consumer: Consumer, owned: Sequence[int], is_current: Callable[[], bool]
    ) -> bool:
        progress = ReplayProgress()
        starts = {Partition(self._topic, one): self._read.get(one, BEGINNING) for one in owned}
        if starts:
            await asyncio.to_thread(progress.begin, consumer, starts)
        served = [Partition(self._served, one) for one in owned]
        found = await asyncio.to_thread(consumer.committed, served)
        self.committed = {one.partition: offset for one, offset in found.items()}
        while not progress.is_done() and is_current():
            for record in await asyncio.to_thread(consumer.poll):
                self._restore(record)
            progress.note(consumer)
            self._note_read(consumer, starts)
        if is_current():
            self._read = {number: offset for number, offset in self._read.items() if number in owned}
        return progress.is_done() and is_current()

    def _note_read(self, consumer: Consumer, partitions: dict[Partition, int]) -> None:
        for one in partitions:
            if (position := consumer.position(one)) is not None:
                self._read[one.partition] = position
