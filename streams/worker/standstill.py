"""Notice that this process stood still: it was suspended or starved, and time went on without it.

After a session timeout without it, the group has given its partitions to other workers. A worker that wakes
learns of that only with the next answer of the coordinator. Until then it must not answer from its state.
"""

import logging
import time
from collections.abc import Callable

from streams.kafka.config import CONSUMER_DEFAULTS
from streams.settings import KafkaSettings

log = logging.getLogger("streams.worker")


def clock_s() -> float:
    """Return seconds on a clock that goes on while the machine is suspended, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Standstill:
    """Whether the process stood still since it was last known to be a member. Any thread may look.

    Args:
        settings: the session timeout. Half of it counts as a standstill, because the coordinator counts from
            the last heartbeat, and heartbeats come at least three times in a session.
        now: a clock, in seconds.
    """

    def __init__(self, settings: KafkaSettings, now: Callable[[], float] = clock_s) -> None:
        name = "session.timeout.ms"
        session_ms = float(settings.kafka.get(name, CONSUMER_DEFAULTS[name]))
        self._limit_s, self._now = session_ms / 2000, now
        self._seen_at_s = now()
        self._n, self._n_settled = 0, 0  # standstills

    @property
    def count(self) -> int:
        """How many standstills were noticed so far."""
        return self._n

    def look(self) -> bool:
        """Return whether the membership is in doubt. Some thread has to call it many times a second."""
        now_s = self._now()
        stood_s = now_s - self._seen_at_s
        if stood_s > self._limit_s:
            self._n += 1  # before the time is noted: another thread sees one or the other
            log.warning("stood still, answers nothing until the group confirms it seconds=%.1f", stood_s)
        self._seen_at_s = now_s
        return self._n != self._n_settled

    def settle(self, count: int) -> None:
        """Record that the process is a member, and that its state is no older than the group's.

        Args:
            count: the standstills that had been noticed before the group was asked.
        """
        self._n_settled = count
