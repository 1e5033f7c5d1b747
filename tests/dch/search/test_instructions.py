"""Instructions of the processor, against the same in Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dch.jit import kernel
from dch.search.instructions import CHUNK, lowest_bit, popcount, prefetch, within


@kernel
def bits_within(numbers, limit):
    return within(numbers, limit)


@kernel
def set_bits(word):
    return popcount(word)


@kernel
def read_ahead(rows, at):
    prefetch(rows, at)
    return len(rows)


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), CHUNK), st.integers(0, 255))
def test_a_bit_is_set_where_a_number_is_within_the_limit(numbers, limit):
    expected = sum(1 << at for at, number in enumerate(numbers.tolist()) if number <= limit)
    assert bits_within(numbers, limit) == expected


@given(st.integers(1, 2**64 - 1))
def test_bits_are_counted_and_the_lowest_is_found(word):
    assert set_bits(np.uint64(word)) == word.bit_count()
    assert lowest_bit(np.uint64(word)) == (word & -word).bit_length() - 1


def test_any_row_may_be_read_ahead():
    rows = np.arange(60).reshape(20, 3)[::2]
    for at in (0, 9, 10, 1 << 40, -5):
        assert read_ahead(rows, at) == 10
    assert rows.tolist() == np.arange(60).reshape(20, 3)[::2].tolist()
