"""Look up offsets, with a retry while the broker is not ready: after its start, a move, or a new topic."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException

from streams.kafka.config import LastError, broker_error
from streams.kafka.records import Partition, to_partition, to_topic_partition
from streams.settings import KafkaSettings

T = TypeVar("T")
RETRY_S = 0.1
ATTEMPT_S = 3.0
"""Longest single attempt. librdkafka may wait in vain if the broker hangs in the middle of a request; a new
request finds a new connection."""

RETRIABLE = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError._WAIT_COORD,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError._UNKNOWN_PARTITION,  # a client that lost its broker knows no leader for a moment
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
)
"""Error codes while the brokers elect the leader of a partition or the coordinator of a group, or hang."""


def retry_until_ready(request: Callable[[float], T], settings: KafkaSettings, last_error: LastError) -> T:
    """Return the result of a request, repeated while the broker does not answer, or with a retriable error.

    Args:
        request: takes the seconds that it may wait for its answer.
        settings: with the seconds to wait for a broker.
        last_error: explains a failure.

    Raises:
        BrokerUnavailableError: no broker answers, it refuses, or it is not ready in time.
    """
    end = time.monotonic() + settings.broker_timeout_s
    while True:
        try:
            return request(min(max(end - time.monotonic(), RETRY_S), ATTEMPT_S))
        except KafkaException as error:
            if error.args[0].code() not in RETRIABLE or time.monotonic() > end:
                raise broker_error(settings, last_error, error) from error
        time.sleep(RETRY_S)


def edge_offsets(
    client: Consumer, partitions: Iterable[Partition], which: int, timeout_s: float
) -> dict[Partition, int]:
    """Look up the first (BEGINNING) or the end (END) offset of partitions in one request.

    Separate requests would each wait behind a fetch that the broker holds until a record arrives.

    Raises:
        KafkaException: the request failed; see ``retry_until_ready``.
    """
    asked = [to_topic_partition(partition, which) for partition in partitions]
    try:
        found = client.offsets_for_times(asked, timeout=timeout_s)
    except KafkaException as error:
        if error.args[0].code() == KafkaError._UNKNOWN_PARTITION:
            client.list_topics(timeout=timeout_s)  # else a client that was idle may not learn of the leaders
        raise
    if errors := [one.error for one in found if one.error is not None]:
        raise KafkaException(errors[0])
    return {to_partition(one): max(one.offset, 0) for one in found}


def committed_offsets(
    client: Consumer, partitions: Iterable[Partition], timeout_s: float
) -> dict[Partition, int]:
    """Look up the committed offsets; 0 for a partition without one.

    Raises:
        KafkaException: the request failed; see ``retry_until_ready``.
    """
    found = client.committed([to_topic_partition(partition) for partition in partitions], timeout=timeout_s)
    return {to_partition(one): max(one.offset, 0) for one in found}
