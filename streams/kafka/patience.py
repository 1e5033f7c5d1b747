"""How long a process waits for a broker that is away: retries with growing pauses, up to a limit.

One ``Patience`` is shared by all clients of a process, so that they agree whether a broker is away.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from streams.errors import StoppedError
from streams.kafka.broker_errors import UNREACHABLE, Right, error_of, is_retriable, kind_of
from streams.kafka.problems import Problems

log = logging.getLogger("streams.kafka")
T = TypeVar("T")

FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 2.0

ATTEMPT_S = 3.0
"""Length of the first attempt of a request. librdkafka may wait in vain if the broker hangs in the middle of
a request, and lets a request without a connection wait; so later attempts are longer only if the broker may
merely be slow."""

STOP_S = 3.0
"""Longest wait for a broker after the process was told to stop."""


class Patience:
    """The limit of all waiting for a broker, and whether a broker is away. Any thread may use it.

    Args:
        limit_s: seconds for which a request is retried.
        stop: set when the process is told to stop, which ends all waiting.
        now: a clock, in seconds.
    """

    def __init__(
        self,
        limit_s: float,
        stop: threading.Event | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit_s = limit_s
        self.now = now
        self.is_suspect = False
        """Whether something failed since the last answer, so that it is worth asking for one."""

        self._stop = stop or threading.Event()
        self._away_since: float | None = None
        self.calling: set[str] = set()
        """Names of the threads that wait for an answer of a broker, in a call that nothing interrupts."""

    @contextmanager
    def call(self) -> Iterator[None]:
        """Show that this thread waits for an answer of a broker until the block ends."""
        name = threading.current_thread().name
        self.calling.add(name)
        try:
            yield
        finally:
            self.calling.discard(name)

    def at_most(self, limit_s: float) -> "Patience":
        """Return the patience of one request that must not take longer, and ends with this one."""
        shorter = Patience(min(limit_s, self.limit_s), self._stop, now=self.now)
        shorter.calling = self.calling
        return shorter

    @property
    def is_away(self) -> bool:
        """Whether no broker answered when asked last."""
        return self._away_since is not None

    @property
    def is_reachable(self) -> bool:
        """Whether a broker answered when asked last, or none had to be asked."""
        return self._away_since is None

    @property
    def away_s(self) -> float:
        """Seconds since no broker answers; 0 if one does."""
        since = self._away_since
        return 0.0 if since is None else self.now() - since

    @property
    def is_stopping(self) -> bool:
        """Whether the process was told to stop."""
        return self._stop.is_set()

    def suspect(self) -> None:
        """Record that something failed that a missing broker explains."""
        self.is_suspect = True

    def note_answer(self) -> None:
        """Record that a broker has answered."""
        if self.is_away:
            log.info("a broker answers again away_s=%.1f", self.away_s)
        self.is_suspect, self._away_since = False, None

    def note_silence(self) -> None:
        """Record that no broker answered."""
        self.is_suspect = True
        if self._away_since is None:
            self._away_since = self.now()
            log.warning("no broker answers, waiting for one patience_s=%g", self.limit_s)

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: the process was told to stop.
        """
        if self._stop.wait(seconds):
            raise StoppedError("stopped while waiting for a broker; nothing more was committed")


def retry(
    request: Callable[[float], T],
    patience: Patience,
    problems: Problems,
    *,
    right: Right | None = None,
    serve: Callable[[], object] = lambda: None,
) -> T:
    """Return the result of a request, repeated while its error may pass.

    Args:
        request: takes the seconds that it may wait for its answer.
        patience: how long to repeat it.
        problems: the problems of the client, which explain a failure.
        right: the right that the request needs.
        serve: runs the callbacks of the client, which tell why a request failed.

    Raises:
        BrokerUnavailableError: no broker answers in time, or it fails.
        BrokerRefusedError: no broker lets this client in, or a right is missing.
        StoppedError: the process was told to stop.
    """
    end, attempt_s, pause_s = patience.now() + patience.limit_s, ATTEMPT_S, FIRST_PAUSE_S
    while True:
        try:
            with patience.call():
                found = request(max(min(attempt_s, end - patience.now()), FIRST_PAUSE_S))
        except KafkaException as cause:
            serve()
            problems.note(error_of(cause))
            is_final = problems.is_refused or not is_retriable(error_of(cause))
            if is_final or patience.now() >= end:
                raise problems.failure(error_of(cause), patience.limit_s, right) from cause
            patience.suspect()
        else:
            problems.clear()
            return found
        patience.pause(min(pause_s, max(end - patience.now(), 0)))
        pause_s = min(2 * pause_s, MAX_PAUSE_S)
        attempt_s = ATTEMPT_S if problems.is_down else min(2 * attempt_s, problems.settings.broker_timeout_s)


def ask_metadata(client: Any, patience: Patience, timeout_s: float) -> Any:  # noqa: ANN401 - any client of librdkafka
    """Ask for the metadata of the cluster, and record whether a broker answers.

    Raises:
        KafkaException: none does.
    """
    try:
        found = client.list_topics(timeout=timeout_s)
    except KafkaException as cause:
        if kind_of(error_of(cause)) == UNREACHABLE:
            patience.note_silence()
        raise
    patience.note_answer()
    return found
