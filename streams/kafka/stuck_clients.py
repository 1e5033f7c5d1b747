"""Notice that a consumer's client gets no answer although a new one of the same settings does.

librdkafka (2.10 and later, https://github.com/confluentinc/librdkafka/issues/5301) removes brokers that the
metadata does not name, such as one that has just come back after it hung, and may not take in any again: "no
broker available for coordinator query", for ever.
"""

import logging
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException

log = logging.getLogger("streams.kafka")

CHECK_INTERVAL_S = 10.0
"""Time without any message after which a client is asked whether it still gets answers."""

ANSWER_S = 2.0
N_FAILED = 3
"""Checks in a row that must fail. A new client is created, and kept only if it does get an answer."""


class StuckClients:
    """Checks the client of one consumer while nothing arrives. Only the polling thread uses it.

    Args:
        create: returns a new client of the same settings.
        now: a clock, in seconds.
    """

    def __init__(self, create: Callable[[], Consumer], now: Callable[[], float] = time.monotonic) -> None:
        self._create, self._now = create, now
        self._n_failed = 0
        self._heard_at_s = now()

    def note_message(self) -> None:
        """Record that the client works: something arrived."""
        self._n_failed, self._heard_at_s = 0, self._now()

    def replacement(self, client: Consumer, topic: str) -> Consumer | None:
        """Return a new client if this one is stuck; None otherwise. Call it when nothing has arrived.

        Args:
            client: the present client.
            topic: a topic that it reads.
        """
        if self._now() - self._heard_at_s < CHECK_INTERVAL_S:
            return None
        n_failed = 0 if _gets_answers(client, topic) else self._n_failed + 1
        self._n_failed, self._heard_at_s = n_failed, self._now()
        if n_failed < N_FAILED:
            return None
        found = self._create()
        if not _gets_answers(found, topic):  # the brokers are away
            found.close()
            return None
        log.warning("a client gets no answer and a new one does, so it is replaced checks=%d", n_failed)
        self._n_failed = 0
        return found


def _gets_answers(client: Consumer, topic: str) -> bool:
    try:
        client.list_topics(topic, timeout=ANSWER_S)
    except KafkaException:
        return False
    return True
