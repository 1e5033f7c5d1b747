"""The problems of a client, as librdkafka reports them: counted, logged, and kept to explain a failure.

Of each cause, one line a second is logged.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from streams.errors import StreamError
from streams.kafka import broker_errors
from streams.kafka.broker_errors import (
    AUTHORIZATION,
    FINAL,
    NO_PROTOCOL_SIGN,
    UNREACHABLE,
    Right,
    error_of,
    is_fatal,
    kind_of,
)
from streams.metrics import BROKER_ERRORS
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")
T = TypeVar("T")

LOG_INTERVAL_S = 1.0
CONNECTION_FAILED = "FAIL"  # librdkafka's name for log lines that the error callback repeats


class LogLimit:
    """Lets one log line a second of each cause through, and counts those held back. Any thread may call it.

    A process has about ten clients, and each reports the loss of each broker many times a second.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._n_held: dict[str, int] = {}

    def held_before(self, cause: str) -> int | None:
        """Return how many lines of a cause were held back since the last one; None if this one is, too."""
        with self._lock:
            now = self._now()
            if now < self._next.get(cause, now):
                self._n_held[cause] = self._n_held.get(cause, 0) + 1
                return None
            self._next[cause] = now + LOG_INTERVAL_S
            return self._n_held.pop(cause, 0)


LIMIT = LogLimit()


class Problems:
    """The error callback and the logger of one client.

    Args:
        settings: settings that an explanation names.
        suspect: called when a lost connection is reported.
    """

    def __init__(self, settings: KafkaSettings, suspect: Callable[[], None] = lambda: None) -> None:
        self.settings = settings
        self.is_down = False
        """Whether the client has lost all its connections since the last answer."""

        self._suspect = suspect
        self._text = ""  # explains why no broker answers
        self._refusal: tuple[str, str] | None = None  # kind and description
        self._has_worked = False
        self._fatal: KafkaError | None = None

    @property
    def is_refused(self) -> bool:
        """Whether no broker lets this client in. A client that was in before retries: brokers restart."""
        return self._refusal is not None and not self._has_worked

    def __call__(self, error: KafkaError) -> None:
        """Take an error from librdkafka's error callback; librdkafka retries everything that is not fatal."""
        if is_fatal(error):
            self._fatal = self._fatal or error
        self.note(error)
        self._suspect()
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.is_down = True  # the errors before it tell why
            return
        self._text = error.str()
        if error.code() in FINAL:
            self._refusal = kind_of(error), error.str()

    def note(self, error: KafkaError) -> None:
        """Count an error and log it."""
        kind = kind_of(error)
        BROKER_ERRORS.labels(kind).inc()
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            _write(logging.ERROR if is_fatal(error) else logging.WARNING, kind, error.name(), error.str())

    def serve(self, call: Callable[[], T], right: Right | None = None) -> T:
        """Return the result of a call of the client that runs its callbacks.

        Args:
            call: a poll, a fetch or a flush.
            right: the right that it needs.

        Raises:
            BrokerRefusedError, BrokerUnavailableError: the client can do nothing any more.
        """
        try:
            result = call()
        except (KafkaException, SystemError) as found:
            # confluent-kafka 2.16 raises a fatal error before it calls the error callback, which then fails.
            cause = found if isinstance(found, KafkaException) else found.__cause__
            error = error_of(cause) if isinstance(cause, KafkaException) else self._fatal
            if error is None:
                raise
            raise broker_errors.failed(self.settings, error, right) from cause
        if self._fatal is not None:
            raise broker_errors.failed(self.settings, self._fatal, right)
        return result

    def clear(self) -> None:
        """Forget the last problem: the client got its answer."""
        self._text, self._refusal = "", None
        self.is_down, self._has_worked = False, True

    def failure(self, error: KafkaError, waited_s: float, right: Right | None = None) -> StreamError:
        """Return the error to raise for a failed request.

        Args:
            error: the error of the request.
            waited_s: for how long it was tried.
            right: the right that it needs.
        """
        kind = kind_of(error)
        if kind != AUTHORIZATION and self._refusal is not None:
            return broker_errors.refused(self.settings, *self._refusal)
        if kind == UNREACHABLE:
            return broker_errors.unavailable(self.settings, waited_s, self._text)
        return broker_errors.failed(self.settings, error, right)

    def log(self, level: int, text: str, *details: str) -> None:
        """Take a line of librdkafka's log: the signature of ``logging.Logger.log``.

        Args:
            level: as in ``logging``.
            text: the format of the line.
            details: facility, name of the client, and message.
        """
        facility, message = details[0], details[-1]
        if facility == CONNECTION_FAILED:
            if NO_PROTOCOL_SIGN in message:  # this comes without an error
                self._text = "it closes each connection at the first request; does it expect TLS?"
            log.debug(text, *details)
        elif level < logging.INFO or (n_held := LIMIT.held_before(f"log {facility}")) is None:
            log.debug(text, *details)
        else:
            log.log(level, text + _held_text(n_held), *details)


def _write(level: int, kind: str, name: str, reason: str) -> None:
    n_held = LIMIT.held_before(kind)
    if n_held is not None:
        log.log(level, "broker problem kind=%s code=%s reason=%s%s", kind, name, reason, _held_text(n_held))


def _held_text(n_held: int) -> str:
    return f" (and {n_held} more since the last line)" if n_held else ""
