"""How far reading has come: were partitions read up to where they ended at some moment?"""

import time
from collections.abc import Callable, Iterable, Mapping

from streams.kafka import Partition

QUIET_S = 5.0
"""A partition whose end is a transaction's marker, or was compacted away, never shows its last record: when
nothing at all came for this long, there is nothing more to come."""


class ReplayProgress:
    """Partitions that are not read to a given offset yet. One thread writes, others may ask."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._ends: dict[Partition, int] = {}
        self._now = now
        self._last = now()

    def expect(self, positions: Mapping[Partition, int], ends: Mapping[Partition, int]) -> None:
        """Wait until these partitions, now read up to ``positions``, are read up to ``ends``."""
        self._last = self._now()
        for place, end in ends.items():
            if positions.get(place, 0) < end:
                self._ends[place] = end
            else:
                self._ends.pop(place, None)

    def note(self, positions: Mapping[Partition, int]) -> None:
        """Take note of where reading is after a poll; call it with nothing, too, when nothing came."""
        if positions:
            self._last = self._now()
        elif self._ends and self._now() - self._last > QUIET_S:
            self._ends = {}
        for place, position in positions.items():
            if place in self._ends and position >= self._ends[place]:
                del self._ends[place]

    def forget(self, places: Iterable[Partition]) -> None:
        """Wait for these no more."""
        for place in places:
            self._ends.pop(place, None)

    def waits_for(self, place: Partition) -> bool:
        """Say whether this partition is not there yet."""
        return place in self._ends

    def is_done(self) -> bool:
        """Say whether every partition is there."""
        return not self._ends
