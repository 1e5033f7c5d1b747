"""Records read from a topic, and records to write. Their meaning is in ``streams.messages``."""

from collections.abc import Sequence

import msgspec

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


def header(headers: Headers, name: str) -> bytes | None:
    """Return the value of the last header with this name, or None. The case of a name matters."""
    for found, value in reversed(headers):
        if found == name:
            return value
    return None
