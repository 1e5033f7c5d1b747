"""A record as read from a topic, and one to be written. What its bytes mean is not known here."""

from collections.abc import Sequence

import msgspec

Headers = Sequence[tuple[str, bytes | None]]
"""Headers in the order of the record; a name may repeat."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    """Milliseconds since 1970, as the producer or the broker wrote it; 0 when there is none."""

    headers: Headers = ()

    @property
    def place(self) -> str:
        """Where the record is, as ``topic[partition]@offset``."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    """None: chosen from the key, as Java clients choose it."""

    headers: Headers = ()
    timestamp_ms: int | None = None
    """None: now."""


def header(headers: Headers, name: str) -> bytes | None:
    """Return the value of the last header of this name, None when there is none.

    Names are compared as they are, and without regard to case only where a standard says so (see messages).
    """
    for found, value in reversed(headers):
        if found == name:
            return value
    return None
