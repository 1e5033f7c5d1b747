"""The code store against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.data.ids import IdTable
from dch.errors import CodeShapeError, UnknownIdError
from dch.models.codes import to_words
from dch.state.code_store import SMALLEST, CodeStore

ROWS = st.integers(0, 3) | st.sampled_from([SMALLEST - 1, SMALLEST, 5 * SMALLEST])
STEPS = st.lists(st.tuples(st.booleans(), st.lists(ROWS, max_size=4), st.integers(0, 255)), max_size=12)


@given(STEPS, st.sampled_from([8, 64, 72, 256]))
def test_a_store_holds_what_was_put_and_not_removed(steps, bits):
    store, expected = CodeStore(IdTable(), bits, generation=1), {}
    for is_put, rows, value in steps:
        if is_put:
            codes = np.full((len(rows), bits // 8), value, np.uint8)
            store.put(np.array(rows, np.int32), to_words(codes))
            expected |= dict.fromkeys(rows, bytes([value]) * (bits // 8))
        else:
            store.remove(np.array(rows, np.int32))
            expected = {row: code for row, code in expected.items() if row not in rows}
    assert len(store) == len(expected)
    assert np.flatnonzero(store.present).tolist() == sorted(expected)
    assert {row: store.code(row) for row in expected} == expected


def test_popularity_survives_growing():
    store = CodeStore(IdTable(), 64, generation=1)
    store.popularity[3] = 7
    store.reserve(10 * SMALLEST)
    assert store.popularity[3] == 7


def test_growing_does_not_touch_the_columns_that_a_reader_holds():
    store = CodeStore(IdTable(), 64, generation=1)
    columns = store.columns
    store.put(np.array([SMALLEST], np.int32), np.ones((1, 1), np.uint64))
    assert len({len(column) for column in columns}) == 1
    assert not columns.present.any()


def test_memory_is_reported():
    assert CodeStore(IdTable(), 64, generation=1).nbytes == SMALLEST * (8 + 1 + 4)


@pytest.mark.parametrize("row", [-1, 0, 10**6])
def test_a_row_without_a_code_is_an_error(row):
    with pytest.raises(UnknownIdError, match=f"^row {row} has no code in generation 2$"):
        CodeStore(IdTable(), 64, generation=2).code(row)


def test_codes_of_another_length_are_refused():
    with pytest.raises(CodeShapeError, match=r"1 codes of 128 bits have shape \(1, 2\), got \(1, 1\)"):
        CodeStore(IdTable(), 128, 1).put(np.zeros(1, np.int32), np.zeros((1, 1), np.uint64))
