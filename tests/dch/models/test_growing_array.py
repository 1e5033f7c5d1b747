"""Arrays that grow: the same as a copy to a larger array, without the copy where the system allows it."""

from pathlib import Path

import numpy as np
import pytest

from dch.models import growing_array
from dch.models.growing_array import GrowingArray


@pytest.mark.parametrize("is_refused", [False, True])
def test_rows_keep_their_values_and_new_rows_are_zeros(monkeypatch, is_refused):
    if is_refused:
        monkeypatch.setattr(growing_array, "_address_space", lambda n_bytes: None)
    growing, expected = GrowingArray(np.int32, 3), np.zeros((0, 3), np.int32)
    for n in (1, 5, 9, 100, 2000):
        found = growing.first(n)
        expected = np.concatenate([expected, np.zeros((n - len(expected), 3), np.int32)])
        assert np.array_equal(found, expected)
        found[-1] = expected[-1] = n


def test_rows_that_nobody_writes_take_no_memory():
    growing, before = GrowingArray(np.int64, 256), _resident_bytes()
    growing.first(10_000_000)[9_999_999, 0] = 1
    assert _resident_bytes() - before < 100 << 20  # all rows are 20 GB


def test_a_limit_of_the_process_is_no_error(monkeypatch):
    monkeypatch.setattr(growing_array, "RESERVED_ROWS", 1 << 58)
    assert GrowingArray(np.int64, 2).first(20).tolist() == [[0, 0]] * 20


def _resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
