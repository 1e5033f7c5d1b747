"""Learn where partitions end without waiting for the answer."""

import logging
import math
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import NamedTuple

from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # imported there, not exported by __all__
    AdminClient,
    ListOffsetsResultInfo,
    OffsetSpec,
)

from streams.kafka.broker_errors import error_text
from streams.kafka.config import create_client, producer_config
from streams.kafka.problems import Problems
from streams.kafka.records import Partition, to_topic_partition
from streams.settings import KafkaSettings

log = logging.getLogger("streams.kafka")

ASK_INTERVAL_S = 5.0
ANSWER_S = 2.0
"""Longest wait for an answer. Until it is over nothing else is asked."""

PAUSE_FACTOR = 20
"""How many times as long as an answer took nothing is asked after it.

While the leader of a partition is down, librdkafka asks for its new leader again and again, without a pause,
until the answer is due: a core is busy, and so are the brokers that are left. So this lasts for a twentieth
of the time at most.
"""

ISOLATION = {
    "read_committed": IsolationLevel.READ_COMMITTED,
    "read_uncommitted": IsolationLevel.READ_UNCOMMITTED,
}
Answers = Mapping[Partition, "Future[ListOffsetsResultInfo]"]


class End(NamedTuple):
    """The end of a partition as its leader gave it."""

    offset: int
    as_of_ms: int
    """When it was asked for, since 1970."""


class EndOffsets:
    """The ends of partitions as their leaders gave them when asked last, a few seconds ago.

    The end that comes with fetched records is old while a quota, or a leader that hangs, holds the fetches
    back. So a client of its own asks, whose requests wait behind no fetch. No call waits for an answer, and
    none raises an error of a broker: the end of a partition whose leader did not answer is unknown.

    Args:
        settings: the addresses of the brokers.
        isolation: that of the consumer, whose records end at the first open transaction or do not; None takes
            ``isolation.level`` of the settings.
    """

    def __init__(self, settings: KafkaSettings, isolation: str | None = None) -> None:
        self._settings = settings
        found = isolation or settings.kafka.get("isolation.level", "read_committed")
        self._isolation = ISOLATION[found.lower()]
        self._client: AdminClient | None = None  # created when it is needed
        self._waiting: Answers = {}
        self._asked_at_s, self._answered_at_s, self._asked_at_ms = -math.inf, -math.inf, 0
        self._known: dict[Partition, End] = {}

    def look(self, partitions: Collection[Partition]) -> dict[Partition, End]:
        """Return the known ends of these partitions; ask again if the last answers are old."""
        if self._client is not None:
            self._client.poll(0)  # runs its callbacks, which count and log its problems
        if self._waiting and all(answer.done() for answer in self._waiting.values()):
            self._known, self._waiting = self._answered(), {}
        if partitions and not self._waiting and time.monotonic() >= self._next_at_s():
            self._asked_at_s, self._asked_at_ms = time.monotonic(), time.time_ns() // 1_000_000
            self._waiting = self._ask(partitions)
        return {one: self._known[one] for one in partitions if one in self._known}

    def _next_at_s(self) -> float:
        """Return when to ask next, on the clock of ``time.monotonic``."""
        if self._answered_at_s == -math.inf:
            return self._asked_at_s + ASK_INTERVAL_S
        took_s = max(self._answered_at_s - self._asked_at_s, 0.0)
        return max(self._asked_at_s + ASK_INTERVAL_S, self._answered_at_s + PAUSE_FACTOR * took_s)

    def _note_answer(self, _: object) -> None:
        self._answered_at_s = time.monotonic()

    def _ask(self, partitions: Collection[Partition]) -> Answers:
        if self._client is None:
            problems = Problems(self._settings)
            self._client = create_client(AdminClient, producer_config(self._settings, problems, {}, {}))
        end = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {to_topic_partition(one): end for one in partitions}
        found = self._client.list_offsets(asked, isolation_level=self._isolation, request_timeout=ANSWER_S)
        for answer in found.values():
            answer.add_done_callback(self._note_answer)
        return {Partition(one.topic, one.partition): answer for one, answer in found.items()}

    def _answered(self) -> dict[Partition, End]:
        found = {}
        for one, answer in self._waiting.items():
            try:
                found[one] = End(answer.result().offset, self._asked_at_ms)
            except KafkaException as cause:
                log.debug("no end of %s[%d] reason=%s", *one, error_text(cause))
        return found
