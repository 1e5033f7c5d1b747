"""Keys get the same partitions as with Java clients."""

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import example, given
from hypothesis import strategies as st

from streams.kafka.partitioner import murmur2, partition_for


@pytest.mark.parametrize(("key", "partition"), [(b"u1", 0), (b"u2", 2), (b"u3", 2)])
def test_keys_get_the_partitions_that_java_clients_choose(key, partition):
    assert partition_for(key, 4) == partition


@given(st.binary(max_size=20) | st.binary(min_size=250, max_size=260))
@example(b"")
def test_the_hash_equals_that_of_aiokafka(key):
    assert murmur2(key) == aiokafka_murmur2(key) & 0xFFFFFFFF


@given(st.binary(max_size=6), st.integers(1, 9))
def test_the_owner_partition_is_below_the_number_of_partitions(key, n_partitions):
    assert 0 <= partition_for(key, n_partitions) < n_partitions
