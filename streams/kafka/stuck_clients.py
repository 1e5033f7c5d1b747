"""Notice that a client has lost its brokers although a new one of the same settings finds them.

librdkafka (2.10 and later, https://github.com/confluentinc/librdkafka/issues/5301) removes brokers that the
metadata does not name, such as one that has just come back after it hung, and may not take in any again: "no
broker available for coordinator query", for ever.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from confluent_kafka import KafkaError, KafkaException

from streams.kafka.broker_errors import error_of

log = logging.getLogger("streams.kafka")

CHECK_INTERVAL_S = 10.0
"""Time without any message after which a client is asked whether it still gets answers."""

ANSWER_S = 2.0
"""How long an answer may take."""

N_FAILED = 3
"""Checks in a row that must fail. A new client is created, and kept only if it does get an answer."""


AnyClient = TypeVar("AnyClient")


class StuckClients(Generic[AnyClient]):
    """Checks one client while nothing arrives. Only the thread that polls the client uses it.

    Args:
        create: returns a new client of the same settings.
        now: a clock, in seconds.
    """

    def __init__(self, create: Callable[[], AnyClient], now: Callable[[], float] = time.monotonic) -> None:
        self._create, self._now = create, now
        self.note_message()

    def note_message(self) -> None:
        """Record that the client works, or that it is a new one."""
        self._n_failed, self._looked_at_s = 0, self._now()

    def replacement(self, client: AnyClient, *topic: str) -> AnyClient | None:
        """Return a new client if this one is stuck; None otherwise. Call it when nothing has arrived.

        Args:
            client: the present client.
            topic: one that it uses, if any: then the answers are short.
        """
        if self._now() - self._looked_at_s < CHECK_INTERVAL_S:
            return None
        n_failed = self._n_failed + 1 if _has_no_broker(client, topic) else 0
        self._n_failed, self._looked_at_s = n_failed, self._now()
        if n_failed < N_FAILED:
            return None
        found: Any = self._create()
        if not _gets_answers(found, topic):  # the brokers are away
            found.close()
            return None
        log.warning("a client has lost its brokers and a new one finds them, so it is replaced")
        self._n_failed = 0
        return cast(AnyClient, found)


def abandon(client: Any) -> None:  # noqa: ANN401 - any client of librdkafka
    """Close a client that was replaced, in a thread of its own, as it may never end."""
    threading.Thread(target=client.close, name="stuck client", daemon=True).start()


def _has_no_broker(client: Any, topic: tuple[str, ...]) -> bool:  # noqa: ANN401 - as above
    """Tell whether a client knows no broker that it can ask. One that waits for an answer is not stuck.

    A broker lets clients wait that are over their quota, and one that hangs lets all wait.
    """
    try:
        client.list_topics(*topic, timeout=ANSWER_S)
    except KafkaException as cause:
        return error_of(cause).code() == KafkaError._TRANSPORT
    return False


def _gets_answers(client: Any, topic: tuple[str, ...]) -> bool:  # noqa: ANN401 - as above
    try:
        client.list_topics(*topic, timeout=ANSWER_S)
    except KafkaException:
        return False
    return True
