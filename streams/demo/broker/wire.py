"""The parts of Kafka's wire protocol that the proxy reads.

Clients are offered only versions of a call without variable-length integers.

Source:
    https://kafka.apache.org/protocol
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

PRODUCE, FETCH, METADATA, FIND_COORDINATOR = 0, 1, 3, 10
JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 11, 12, 13, 14
API_VERSIONS, END_TXN, DESCRIBE_CLUSTER = 18, 26, 60
GROUP_CALLS = (JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP)

MAX_VERSIONS = {
    API_VERSIONS: 0,
    PRODUCE: 8,
    FETCH: 11,
    JOIN_GROUP: 5,
    HEARTBEAT: 3,
    LEAVE_GROUP: 2,
    SYNC_GROUP: 3,
}
"""The newest version of each call without variable-length integers."""

UNSUPPORTED_VERSION = 35
PARTITION_BYTES = 1 << 20
"""Most bytes of one partition in a fetch reply; at least one batch of records is sent."""


class Request(NamedTuple):
    """The header of a request; ``body`` is the position of its body in the frame."""

    api: int
    version: int
    correlation: int
    body: int


class Cursor:
    """Reads consecutive fields of a frame from position ``at``."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def int(self, size: int) -> int:
        """Read a signed integer of ``size`` bytes."""
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "big", signed=True)

    def text(self) -> str:
        """Read a string; null becomes empty."""
        size = max(self.int(2), 0)
        self.at += size
        return self.data[self.at - size : self.at].decode(errors="replace")


def read_head(frame: bytes) -> Request:
    """Read the header of a request."""
    cursor = Cursor(frame)
    api, version, correlation = cursor.int(2), cursor.int(2), cursor.int(4)
    cursor.text()
    return Request(api, version, correlation, cursor.at)


def read_acks(frame: bytes, request: Request) -> int:
    """Return the acknowledgements that a produce request asks for; with 0 it gets no reply."""
    cursor = Cursor(frame, request.body)
    if request.version >= 3:
        cursor.text()
    return cursor.int(2)


def versions_request(request: Request) -> bytes:
    """Return an ApiVersions request of version 0, which every broker understands."""
    return struct.pack(">hhih", API_VERSIONS, 0, request.correlation, -1)


def limit_versions(versions: bytes, request: Request) -> bytes:
    """Limit an ApiVersions reply to ``MAX_VERSIONS``; a request above version 0 gets an error code."""
    cursor = Cursor(versions, 4)
    error, n = cursor.int(2), cursor.int(4)
    found = [(cursor.int(2), cursor.int(2), cursor.int(2)) for _ in range(n)]
    cut = [struct.pack(">hhh", api, low, min(high, MAX_VERSIONS.get(api, high))) for api, low, high in found]
    error = UNSUPPORTED_VERSION if request.version > 0 else error
    return versions[:4] + struct.pack(">hi", error, n) + b"".join(cut)


def replace_address(reply: bytes, request: Request, host: str, old: int, new: int) -> bytes:
    """Replace the address of noida-db in a reply by that of the proxy."""
    if request.api not in (METADATA, FIND_COORDINATOR, DESCRIBE_CLUSTER):
        return reply
    return reply.replace(host.encode() + struct.pack(">i", old), host.encode() + struct.pack(">i", new))


def read_max_wait_s(frame: bytes, request: Request) -> float:
    """Return the seconds that a fetch may wait for records."""
    return Cursor(frame, request.body + 4).int(4) / 1000


def read_group_member(frame: bytes, request: Request) -> tuple[tuple[str, str], float]:
    """Return the (group, member) of a call, and the session timeout of a JoinGroup in seconds, else 0."""
    cursor, timeout_s = Cursor(frame, request.body), 0.0
    group = cursor.text()
    if request.api == JOIN_GROUP:
        timeout_s = cursor.int(4) / 1000
        cursor.at += 4 if request.version >= 1 else 0
    elif request.api != LEAVE_GROUP:
        cursor.at += 4
    return (group, cursor.text()), timeout_s


def read_joined_member(reply: bytes, request: Request) -> str:
    """Return the member name from a JoinGroup reply; empty if the join failed."""
    cursor = Cursor(reply, 8 if request.version >= 2 else 4)
    if cursor.int(2) != 0:
        return ""
    cursor.at += 4
    cursor.text(), cursor.text()
    return cursor.text()


def leave_group_request(group: str, member: str) -> bytes:
    """Return a LeaveGroup request for a member."""
    texts = [struct.pack(">h", len(text.encode())) + text.encode() for text in ("dch", group, member)]
    return struct.pack(">hhi", LEAVE_GROUP, 0, 0) + b"".join(texts)


def limit_fetch_reply(reply: bytes, version: int) -> tuple[bytes, bool]:
    """Limit a fetch reply to whole batches of ``PARTITION_BYTES`` for each partition.

    Returns:
        The reply, and whether it holds records or an error.
    """
    has_content, parts, done = version >= 7 and int.from_bytes(reply[8:10], "big") != 0, [], 0
    for start, size, error in _record_sets(reply, version):
        kept = _whole_batches(reply, start, size)
        parts += [
            reply[done : start - 4],
            kept.to_bytes(4, "big", signed=True),
            reply[start : start + max(kept, 0)],
        ]
        done = start + max(size, 0)
        has_content = has_content or size > 0 or error != 0
    return b"".join([*parts, reply[done:]]), has_content


def _record_sets(reply: bytes, version: int) -> Iterator[tuple[int, int, int]]:
    """Yield the start and size in bytes of each partition's records, and the partition's error code."""
    cursor = Cursor(reply, 4 + (4 if version >= 1 else 0) + (6 if version >= 7 else 0))
    for _ in range(cursor.int(4)):
        cursor.text()
        for _ in range(cursor.int(4)):
            cursor.at += 4
            error = cursor.int(2)
            cursor.at += 8 + (8 if version >= 4 else 0) + (8 if version >= 5 else 0)
            n_aborted = cursor.int(4) if version >= 4 else 0
            cursor.at += 16 * max(n_aborted, 0) + (4 if version >= 11 else 0)
            size = cursor.int(4)
            yield cursor.at, size, error
            cursor.at += max(size, 0)


def _whole_batches(reply: bytes, start: int, size: int) -> int:
    if size <= PARTITION_BYTES:
        return size
    end = start
    while end - start < size:
        batch = 12 + int.from_bytes(reply[end + 8 : end + 12], "big")
        if end > start and end + batch - start > PARTITION_BYTES:
            break
        end += batch
    return end - start
