"""The parts of frames that the proxy reads and changes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.demo.broker import wire


def batch(offset, size):
    """Return a batch of records of ``size`` bytes; only the length matters."""
    return struct.pack(">qi", offset, size - 12) + b"\x07" * (size - 12)


def reply(version, partitions, error=0):
    """Return a fetch reply for one topic; a partition is an error code and its batches, or None for null."""
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
def test_a_fetch_reply_keeps_whole_batches_up_to_a_megabyte_and_at_least_one(version, partitions):
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

    found, has_content = wire.limit_fetch_reply(built(list), version)
    assert found == built(kept)
    assert has_content == any(code or found for code, found in partitions)


def test_a_fetch_reply_with_an_error_has_content():
    assert wire.limit_fetch_reply(reply(11, [(0, [])], error=70), 11)[1]
    assert not wire.limit_fetch_reply(reply(11, [(0, [])]), 11)[1]


def test_offered_versions_have_no_varints():
    found = struct.pack(">ihi", 42, 0, 3) + struct.pack(">9h", 0, 0, 9, 1, 4, 13, 3, 0, 12)
    cut = struct.pack(">ihi", 42, 0, 3) + struct.pack(">9h", 0, 0, 8, 1, 4, 11, 3, 0, 12)
    asked = wire.read_head(request(wire.API_VERSIONS, 0))
    assert wire.limit_versions(found, asked) == cut


def test_a_newer_versions_request_gets_an_error_and_the_versions_of_its_own_call():
    found = struct.pack(">ihi", 42, 0, 1) + struct.pack(">3h", wire.API_VERSIONS, 0, 3)
    expected = struct.pack(">ihi", 42, wire.UNSUPPORTED_VERSION, 1) + struct.pack(
        ">3h", wire.API_VERSIONS, 0, 0
    )
    assert wire.limit_versions(found, wire.read_head(request(wire.API_VERSIONS, 3))) == expected


@pytest.mark.parametrize(("version", "before"), [(2, b""), (8, struct.pack(">h", 2) + b"tx")])
@pytest.mark.parametrize("acks", [0, 1, -1])
def test_the_acknowledgements_of_a_produce_request_are_read(version, before, acks):
    frame = request(wire.PRODUCE, version, before + struct.pack(">hi", acks, 1000))
    assert wire.read_acks(frame, wire.read_head(frame)) == acks


def test_the_address_is_replaced_only_in_replies_that_name_brokers():
    address = b"\x00\x09127.0.0.1"
    reply = address + struct.pack(">i", 1000)
    metadata, fetch = wire.read_head(request(wire.METADATA, 1)), wire.read_head(request(wire.FETCH, 1))
    assert wire.replace_address(reply, metadata, "127.0.0.1", 1000, 9092) == address + struct.pack(">i", 9092)
    assert wire.replace_address(reply, fetch, "127.0.0.1", 1000, 9092) == reply


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def test_the_member_of_a_group_call_is_read():
    join = request(wire.JOIN_GROUP, 5, text("worker") + struct.pack(">ii", 6000, 300_000) + text("m-1"))
    beat = request(wire.HEARTBEAT, 3, text("worker") + struct.pack(">i", 9) + text("m-1"))
    leave = request(wire.LEAVE_GROUP, 2, text("worker") + text("m-1"))
    assert wire.read_group_member(join, wire.read_head(join)) == (("worker", "m-1"), 6.0)
    assert wire.read_group_member(beat, wire.read_head(beat)) == (("worker", "m-1"), 0.0)
    assert wire.read_group_member(leave, wire.read_head(leave)) == (("worker", "m-1"), 0.0)


def test_the_member_name_in_a_join_reply_is_read():
    asked = wire.read_head(request(wire.JOIN_GROUP, 5))
    joined = struct.pack(">iihi", 42, 0, 0, 3) + text("range") + text("leader") + text("m-2")
    refused = struct.pack(">iihi", 42, 0, 79, -1) + text("") + text("") + text("m-2")
    assert wire.read_joined_member(joined, asked) == "m-2"
    assert wire.read_joined_member(refused, asked) == ""
