"""Convert librdkafka's partitions and messages to ours, and back."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Message, TopicPartition

from streams.kafka.records import Headers, Record

BEGINNING: int = OFFSET_BEGINNING
END: int = OFFSET_END


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


Starts = Mapping[Partition, int]
"""Where to begin reading, by partition: an offset, BEGINNING or END. Others begin at the committed offset."""


def to_partition(found: TopicPartition) -> Partition:
    """Convert one of librdkafka's partitions."""
    return Partition(found.topic, found.partition)


def to_partitions(found: Iterable[TopicPartition]) -> list[Partition]:
    """Convert librdkafka's partitions."""
    return [to_partition(one) for one in found]


def to_topic_partition(partition: Partition, offset: int | None = None) -> TopicPartition:
    """Convert a partition to librdkafka's form, with an offset or without."""
    return TopicPartition(*partition) if offset is None else TopicPartition(*partition, offset)


def to_record(message: Message) -> Record:
    """Convert a message without error to a record."""
    return Record(
        cast(str, message.topic()),
        cast(int, message.partition()),
        cast(int, message.offset()),
        message.key(),
        message.value(),
        max(message.timestamp()[1], 0),
        cast(Headers, message.headers() or ()),
    )
