"""Rows that wait: each once, oldest first, and a part costs no more than its own rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.state.changed_rows import ChangedRows

steps = st.lists(st.lists(st.integers(0, 30), max_size=8) | st.integers(0, 6) | st.none(), max_size=30)


@given(steps)
def test_rows_are_taken_once_and_oldest_first(steps):
    found, waiting = ChangedRows(), []
    for step in steps:
        if isinstance(step, list):
            found.add(np.array(step, np.int32))
            waiting += sorted(set(step) - set(waiting))
        else:
            n = len(waiting) if step is None else step
            assert found.take(step).tolist() == sorted(waiting[:n])
            del waiting[:n]
        assert len(found) == len(waiting)


def test_a_row_that_changes_again_keeps_its_place():
    found = ChangedRows()
    found.add(np.array([5], np.int32))
    found.add(np.array([1, 5], np.int32))
    assert found.take(1).tolist() == [5]
    found.add(np.array([5], np.int32))
    assert found.take(1).tolist() == [1]
    assert found.take().tolist() == [5]
