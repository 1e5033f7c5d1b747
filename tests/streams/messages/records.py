"""Records for tests, and Hypothesis strategies for their values and headers."""

from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.kafka.records import Record


def decoded(decode, *args, **kwargs):
    """Return the result of a decoder, or its BadRecord; any other exception fails the test."""
    try:
        return decode(*args, **kwargs)
    except BadRecord as reason:
        return reason


def record(value, *, key=b"u1", headers=(), topic="ratings", offset=0, partition=0, timestamp_ms=1000):
    if isinstance(value, str):
        value = value.encode()
    return Record(topic, partition, offset, key, value, timestamp_ms, headers)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("u1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def objects(*names):
    """Generate JSON objects with some of the expected names, and values of any type."""
    return st.dictionaries(st.sampled_from([*names, "extra"]), json_values, max_size=len(names) + 1)


headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_time", "ce_specversion", "content-type", "kafka_replyPartition", "kafka_replyTopic"]
        ),
        st.none()
        | st.binary(max_size=6)
        | st.sampled_from([b"application/cloudevents+json", b"2024-01-01T00:00:00Z", b"\0\0\0\1"]),
    ),
    max_size=3,
)
