"""The bytes that the proxy reads and changes; everything else passes as it is."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.demo.broker import wire


def batch(offset, size):
    """A batch of records of so many bytes in all; only its length matters."""
    return struct.pack(">qi", offset, size - 12) + b"\x07" * (size - 12)


def reply(version, partitions, error=0):
    """The reply to a fetch: partitions of one topic, each an error and its batches, or None for null."""
    head = struct.pack(">i", 7) + (struct.pack(">i", 0) if version >= 1 else b"")
    head += struct.pack(">hi", error, 0) if version >= 7 else b""
    body = b""
    for number, (code, batches) in enumerate(partitions):
        body += struct.pack(">ihq", number, code, 99)
        body += struct.pack(">q", 99) if version >= 4 else b""
        body += struct.pack(">q", 0) if version >= 5 else b""
        body += struct.pack(">iqq", 1, 5, 6) if version >= 4 else b""  # one aborted transaction
        body += struct.pack(">i", -1) if version >= 11 else b""
        body += struct.pack(">i", -1) if batches is None else struct.pack(">i", len(b"".join(batches)))
        body += b"".join(batches or [])
    return head + struct.pack(">ih", 1, 7) + b"ratings" + struct.pack(">i", len(partitions)) + body


def request(api, version, body=b""):
    return struct.pack(">hhih", api, version, 42, 3) + b"dch" + body


sizes = st.sampled_from([100, 400_000, wire.PARTITION_BYTES, wire.PARTITION_BYTES + 1])
partitions = st.lists(
    st.tuples(st.sampled_from([0, 0, 1]), st.none() | st.lists(sizes, max_size=4)), min_size=1, max_size=3
)


@given(st.integers(0, 11), partitions)
def test_a_reply_keeps_whole_batches_up_to_a_megabyte_and_at_least_one(version, partitions):
    def kept(sizes):
        n = sum(1 for i in range(len(sizes)) if i == 0 or sum(sizes[: i + 1]) <= wire.PARTITION_BYTES)
        return sizes[:n]

    def built(cut):
        return reply(
            version,
            [
                (code, None if found is None else [batch(i, size) for i, size in enumerate(cut(found))])
                for code, found in partitions
            ],
        )

    found, says = wire.capped(built(list), version)
    assert found == built(kept)
    assert says == any(code or found for code, found in partitions)


def test_an_error_of_the_whole_fetch_is_said_at_once():
    assert wire.capped(reply(11, [(0, [])], error=70), 11)[1]
    assert not wire.capped(reply(11, [(0, [])]), 11)[1]


def test_no_call_is_offered_in_a_version_with_varints():
    found = struct.pack(">ihi", 42, 0, 3) + struct.pack(">9h", 0, 0, 9, 1, 4, 13, 3, 0, 12)
    cut = struct.pack(">ihi", 42, 0, 3) + struct.pack(">9h", 0, 0, 8, 1, 4, 11, 3, 0, 12)
    asked = wire.head(request(wire.API_VERSIONS, 0))
    assert wire.offered(found, asked) == cut


def test_who_asks_for_versions_in_a_newer_version_is_told_to_ask_in_the_oldest():
    found = struct.pack(">ihi", 42, 0, 1) + struct.pack(">3h", wire.API_VERSIONS, 0, 3)
    told = struct.pack(">ihi", 42, wire.UNSUPPORTED_VERSION, 1) + struct.pack(">3h", wire.API_VERSIONS, 0, 0)
    assert wire.offered(found, wire.head(request(wire.API_VERSIONS, 3))) == told


@pytest.mark.parametrize(("version", "before"), [(2, b""), (8, struct.pack(">h", 2) + b"tx")])
@pytest.mark.parametrize("acks", [0, 1, -1])
def test_the_acknowledgements_of_a_produce_request_are_read(version, before, acks):
    frame = request(wire.PRODUCE, version, before + struct.pack(">hi", acks, 1000))
    assert wire.acks(frame, wire.head(frame)) == acks


def test_only_the_replies_that_name_brokers_are_readdressed():
    address = b"\x00\x09127.0.0.1"
    reply = address + struct.pack(">i", 1000)
    metadata, fetch = wire.head(request(wire.METADATA, 1)), wire.head(request(wire.FETCH, 1))
    assert wire.readdressed(reply, metadata, "127.0.0.1", 1000, 9092) == address + struct.pack(">i", 9092)
    assert wire.readdressed(reply, fetch, "127.0.0.1", 1000, 9092) == reply


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def test_the_member_that_a_call_is_about_is_read():
    join = request(wire.JOIN_GROUP, 5, text("worker") + struct.pack(">ii", 6000, 300_000) + text("m-1"))
    beat = request(wire.HEARTBEAT, 3, text("worker") + struct.pack(">i", 9) + text("m-1"))
    leave = request(wire.LEAVE_GROUP, 2, text("worker") + text("m-1"))
    assert wire.group_member(join, wire.head(join)) == (("worker", "m-1"), 6.0)
    assert wire.group_member(beat, wire.head(beat)) == (("worker", "m-1"), 0.0)
    assert wire.group_member(leave, wire.head(leave)) == (("worker", "m-1"), 0.0)


def test_the_name_given_to_a_member_is_read():
    asked = wire.head(request(wire.JOIN_GROUP, 5))
    joined = struct.pack(">iihi", 42, 0, 0, 3) + text("range") + text("leader") + text("m-2")
    refused = struct.pack(">iihi", 42, 0, 79, -1) + text("") + text("") + text("m-2")
    assert wire.joined_member(joined, asked) == "m-2"
    assert wire.joined_member(refused, asked) == ""
