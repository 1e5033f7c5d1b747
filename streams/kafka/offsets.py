"""Ask for offsets, and ask again while the broker is about to know: after its start, a move, a new topic."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka.config import Errors, unavailable
from streams.kafka.partitions import Partition, at
from streams.settings import KafkaSettings

T = TypeVar("T")
AGAIN_S = 0.1
SOON = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError._WAIT_COORD,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
"""What a broker says for a moment, when who keeps a partition or its offsets is being settled."""


def once_settled(ask: Callable[[], T], settings: KafkaSettings, errors: Errors) -> T:
    """Return the answer, asking again while the broker is not ready to give it.

    Raises:
        BrokerUnavailableError: no broker answers, it refuses, or it is not ready in time.
    """
    end = time.monotonic() + settings.broker_timeout_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in SOON or time.monotonic() > end:
                raise unavailable(settings, errors, error) from error
        time.sleep(AGAIN_S)


def edges(
    client: Consumer, partitions: Iterable[Partition], which: int, timeout_s: float
) -> dict[Partition, int]:
    """Look up the first (BEGINNING) or the last (END) offset of partitions, all in one question.

    One by one they would wait, each, behind a fetch that the broker holds until something comes.

    Raises:
        KafkaException: as librdkafka says it; see ``once_settled``.
    """
    found = client.offsets_for_times([at(place, which) for place in partitions], timeout=timeout_s)
    if failed := [one.error for one in found if one.error is not None]:
        raise KafkaException(failed[0])
    return {_place(one): max(one.offset, 0) for one in found}


def committed(client: Consumer, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, int]:
    """Look up the committed offsets; 0 where there is none.

    Raises:
        KafkaException: as librdkafka says it; see ``once_settled``.
    """
    found = client.committed([at(place) for place in partitions], timeout=timeout_s)
    return {_place(one): max(one.offset, 0) for one in found}


def _place(found: TopicPartition) -> Partition:
    return Partition(found.topic, found.partition)
