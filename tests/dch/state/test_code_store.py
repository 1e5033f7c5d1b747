"""The code store against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.errors import CodeShapeError
from dch.models.codes import from_words, to_words
from dch.state.code_store import CodeStore

FAR = 1024

ROWS = st.integers(0, 3) | st.sampled_from([FAR - 1, FAR, 5 * FAR])
STEPS = st.lists(st.tuples(st.booleans(), st.lists(ROWS, max_size=4), st.integers(0, 255)), max_size=12)


@given(STEPS, st.sampled_from([8, 64, 72, 256]))
def test_a_store_holds_the_codes_that_were_put_and_not_removed(steps, bits):
    store, expected = CodeStore(bits, generation=1), {}
    for is_put, rows, value in steps:
        if is_put:
            codes = np.full((len(rows), bits // 8), value, np.uint8)
            store.put(np.array(rows, np.int32), to_words(codes))
            expected |= dict.fromkeys(rows, bytes([value]) * (bits // 8))
        else:
            store.remove(np.array(rows, np.int32))
            expected = {row: code for row, code in expected.items() if row not in rows}
        assert len(store) == len(expected)
    rows = store.rows_with_code()
    assert rows.tolist() == sorted(expected)
    codes = from_words(store.columns.words[rows], bits)
    assert {row: code.tobytes() for row, code in zip(rows.tolist(), codes, strict=True)} == expected
    assert store.has_code(np.array([0, 3, 9 * FAR, -1])).tolist() == [
        0 in expected,
        3 in expected,
        False,
        False,
    ]


def test_growing_leaves_the_columns_of_a_reader_unchanged():
    store = CodeStore(64, generation=1)
    columns = store.columns
    store.put(np.array([FAR], np.int32), np.ones((1, 1), np.uint64))
    assert len({len(column) for column in columns}) == 1
    assert not columns.present.any()


def test_the_reported_memory_is_that_of_the_arrays():
    store = CodeStore(64, generation=1, vector_size=3)
    store.reserve(FAR)
    assert store.nbytes == FAR * (8 + 1 + 3)


def test_codes_of_another_length_are_refused():
    with pytest.raises(
        CodeShapeError, match=r"words of 128-bit codes must have shape \(1, 2\), got \(1, 1\)"
    ):
        CodeStore(128, 1).put(np.zeros(1, np.int32), np.zeros((1, 1), np.uint64))
