"""Records, partitions and offsets in our terms, and their conversion from librdkafka's.

The meaning of a record is in ``streams.messages``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import methodcaller
from typing import NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Message, TopicPartition

from streams.errors import BadRecord

Headers = Sequence[tuple[str, bytes | None]]
"""Headers in record order; a name may repeat."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record that was read from a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    """Milliseconds since 1970, set by the producer or the broker; 0 if there is none."""

    headers: Headers = ()
    """Empty if one of them cannot be read."""

    fault: str | None = None
    """Why the headers cannot be read; None if they can. Such a record is a bad one on every topic."""

    def require_headers(self) -> None:
        """Require that the headers could be read. Every decoder does this first.

        Raises:
            BadRecord: they could not.
        """
        if self.fault is not None:
            raise BadRecord("headers", self.fault, reason="header")

    @property
    def position(self) -> str:
        """The position of the record, as ``topic[partition]@offset``."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record to write."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    """None: derived from the key, as Java clients do."""

    headers: Headers = ()
    timestamp_ms: int | None = None
    """None: now."""

    if_refused: "Callable[[], Output] | None" = None
    """Returns the record to write if this one is refused as too large, or as stamped ahead."""


def header(headers: Headers, name: str) -> bytes | None:
    """Return the value of the last header with this name, or None. The case of a name matters."""
    for found, value in reversed(headers):
        if found == name:
            return value
    return None


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


# At a name that is not UTF-8 the client sets an error and returns a list with holes all the same. The
# interpreter does not look for such an error after each call of a method; a call from C always does.
_headers_of = methodcaller("headers")


def to_record(message: Message) -> Record:
    """Convert a message without error to a record; this never fails, whatever bytes the message holds."""
    time_ms, fault = message.timestamp()[1], None
    try:
        headers = _headers_of(message) or ()
    except (SystemError, UnicodeDecodeError) as error:
        # Never ask again: the client keeps that list, and reading a hole ends the process.
        headers, fault = (), header_fault(error)
    return Record(  # a message without error has all of these; a cast of each would cost as much as the call
        message.topic(),  # type: ignore[arg-type]
        message.partition(),  # type: ignore[arg-type]
        message.offset(),  # type: ignore[arg-type]
        message.key(),
        message.value(),
        time_ms if time_ms > 0 else 0,
        headers,
        fault,
    )


def header_fault(error: BaseException) -> str:
    """Return what is wrong with headers that a client could not read: it takes names for UTF-8."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, UnicodeDecodeError):
        found = found.__cause__
    return "expected names in UTF-8" + ("" if found is None else f", got {found.object[:60]!r}")
