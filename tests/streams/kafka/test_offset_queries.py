"""What a lookup of offsets says when the broker answers for some partitions only."""

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka import Partition
from streams.kafka.offset_queries import committed_offsets

PARTITIONS = [Partition("t", 0), Partition("t", 1)]


class Client:
    """A consumer whose lookups give these errors, by partition."""

    def __init__(self, errors):
        self.errors = errors

    def committed(self, asked, timeout):
        return [
            SimpleNamespace(topic=one.topic, partition=one.partition, offset=7, error=error)
            for one, error in zip(asked, self.errors, strict=True)
        ]


def test_a_partition_with_an_error_is_no_partition_without_a_commit():
    """Else all its records would count as live, and their outputs would be written once more."""
    unstable = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)
    with pytest.raises(KafkaException) as caught:
        committed_offsets(Client([None, unstable]), PARTITIONS, 1.0)
    assert caught.value.args[0] is unstable
    assert committed_offsets(Client([None, None]), PARTITIONS, 1.0) == dict.fromkeys(PARTITIONS, 7)
