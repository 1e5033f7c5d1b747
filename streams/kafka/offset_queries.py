"""Look up offsets of partitions in one request."""

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka.records import Partition, to_partition, to_topic_partition


def edge_offsets(
    client: Consumer, partitions: Iterable[Partition], which: int, timeout_s: float, *, in_callback: bool
) -> dict[Partition, int]:
    """Look up the first (BEGINNING) or the end (END) offset of partitions in one request.

    Separate requests would each wait behind a fetch that the broker holds until a record arrives.

    Args:
        client: the consumer.
        partitions: existing ones.
        which: BEGINNING or END.
        timeout_s: how long to wait for the answer.
        in_callback: whether a callback of the client runs; see ``KeptErrors.is_in_callback``.

    Raises:
        KafkaException: the request failed; see ``patience.retry``.
    """
    asked = [to_topic_partition(partition, which) for partition in partitions]
    try:
        found = client.offsets_for_times(asked, timeout=timeout_s)
    except KafkaException as error:
        if error.args[0].code() == KafkaError._UNKNOWN_PARTITION and not in_callback:
            client.list_topics(timeout=timeout_s)  # else a client that was idle may not learn of the leaders
        raise
    _require_found(found)
    return {to_partition(one): max(one.offset, 0) for one in found}


def committed_offsets(
    client: Consumer, partitions: Iterable[Partition], timeout_s: float
) -> dict[Partition, int]:
    """Look up the committed offsets; below 0 for a partition without one.

    Raises:
        KafkaException: the request failed, or that of one partition; see ``patience.retry``.
    """
    found = client.committed([to_topic_partition(partition) for partition in partitions], timeout=timeout_s)
    _require_found(found)
    return {to_partition(one): one.offset for one in found}


def _require_found(found: Iterable[TopicPartition]) -> None:
    if errors := [one.error for one in found if one.error is not None]:
        raise KafkaException(errors[0])
