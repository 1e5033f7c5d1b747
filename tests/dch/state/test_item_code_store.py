"""The published item codes against a dictionary."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.state.item_code_store import ItemCodeStore
from dch.state.item_columns import ItemCodes

N_ITEMS = 5
FAR = 5000
"""A row past the first allocation."""

ROW = st.integers(0, N_ITEMS - 1) | st.just(FAR)
CODE = st.tuples(st.integers(0, 3), st.integers(-2, 2), st.integers(0, 2)) | st.none()
STEPS = st.lists(st.dictionaries(ROW, CODE), max_size=8)


def codes_of(values):
    """Columns from (word, vector element, popularity) or None, one per row."""
    filled = [value or (9, 9, 9) for value in values]
    return ItemCodes(
        np.array([[word] for word, _, _ in filled], np.uint64).reshape(-1, 1),
        np.array([[element] * 2 for _, element, _ in filled], np.int8).reshape(-1, 2),
        np.array([popularity for _, _, popularity in filled], np.int32),
        np.array([value is not None for value in values], np.bool_),
    )


@given(STEPS, st.sets(ROW))
def test_a_store_holds_the_codes_that_were_put_last(steps, removed):
    store = ItemCodeStore(generation=1, bits=64, vector_size=2)
    expected = {}
    for step in steps:
        store.put(np.array(list(step), np.int32), codes_of(list(step.values())))
        expected |= step
    store.remove(np.array(sorted(removed), np.int32))
    expected |= dict.fromkeys(removed)

    rows = [*range(N_ITEMS), FAR, FAR + 1]
    values = [expected.get(row) for row in rows]
    assert store.has_code(np.array(rows, np.int32)).tolist() == [value is not None for value in values]
    found = store.codes(np.array(rows, np.int32))
    assert found.present.tolist() == [value is not None for value in values]
    assert found.words[:, 0].tolist() == [value[0] if value else 0 for value in values]
    assert found.vectors[:, 1].tolist() == [value[1] if value else 0 for value in values]
    assert found.popularity.tolist() == [value[2] if value else 0 for value in values]


def test_codes_are_copies():
    store = ItemCodeStore(generation=1, bits=64, vector_size=2)
    row = np.array([1], np.int32)
    store.put(row, codes_of([(1, 1, 1)]))
    found = store.codes(row)
    store.remove(row)
    assert (found.words[0, 0], found.popularity[0], found.present[0]) == (1, 1, True)
