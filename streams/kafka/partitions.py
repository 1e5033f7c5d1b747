"""Between librdkafka's words and ours: partitions, offsets, records."""

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
"""Where to begin reading, by partition: an offset, BEGINNING or END; absent: after the committed offset."""


def partitions_of(found: Iterable[TopicPartition]) -> list[Partition]:
    """Return our name of librdkafka's partitions."""
    return [Partition(at.topic, at.partition) for at in found]


def at(place: Partition, offset: int | None = None) -> TopicPartition:
    """Return librdkafka's name of a partition, with an offset or without."""
    return TopicPartition(*place) if offset is None else TopicPartition(*place, offset)


def record_of(message: Message) -> Record:
    """Return a message without error as a record."""
    return Record(
        cast(str, message.topic()),
        cast(int, message.partition()),
        cast(int, message.offset()),
        message.key(),
        message.value(),
        max(message.timestamp()[1], 0),
        cast(Headers, message.headers() or ()),
    )
