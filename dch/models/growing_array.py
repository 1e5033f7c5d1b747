"""Arrays that grow in place: address space is reserved, and memory is taken only where rows are written.

Copying a million bags to a larger array takes a second, in which nobody is answered. Where the system refuses
so much address space, the array is copied after all, to twice its size.
"""

import mmap
import sys
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

RESERVED_ROWS = 1 << 27
"""Rows whose addresses an array reserves: 134 million. A larger one is copied, as without addresses."""

NO_RESERVE = 0x4000
"""MAP_NORESERVE of Linux: the kernel does not count the mapping as memory until it is written to."""

FIRST_ROWS = 8

HUGE_FROM = 4 << 20
"""Bytes of an array that stay in small pages, so that a small array takes little. Beyond, the kernel may give
pages of 2 MB, as it does to large arrays of numpy: random reads then miss its tables of addresses less."""


class GrowingArray:
    """An array of zeros of which any number of first rows can be had. Only one thread may grow it."""

    def __init__(self, dtype: DTypeLike, *row_shape: int) -> None:
        """Take the type of the elements, and the shape of a row; none for single elements."""
        self._dtype, self._row_shape = np.dtype(dtype), row_shape
        self._rows = self._reserve(FIRST_ROWS)

    def first(self, n: int) -> NDArray[Any]:
        """Return the first n rows, as a view; earlier views stay valid, and mostly show the same memory."""
        if n > len(self._rows):
            larger = self._reserve(max(n, 2 * len(self._rows)))
            larger[: len(self._rows)] = self._rows
            self._rows = larger
        return self._rows[:n]

    def _reserve(self, n_rows: int) -> NDArray[Any]:
        row_bytes = self._dtype.itemsize * int(np.prod(self._row_shape, dtype=np.int64))
        reserved = _address_space(max(RESERVED_ROWS, n_rows) * row_bytes)
        if reserved is None:
            return np.zeros((n_rows, *self._row_shape), self._dtype)
        n_rows = len(reserved) // row_bytes
        found = np.frombuffer(reserved, self._dtype, n_rows * row_bytes // self._dtype.itemsize)
        return found.reshape(n_rows, *self._row_shape)


def _address_space(n_bytes: int) -> mmap.mmap | None:
    """Return zeros that take memory only where they are written; None where the system refuses."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found = mmap.mmap(-1, n_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
    except (OSError, OverflowError, ValueError):  # a limit of the process, or strict accounting of memory
        return None
    if n_bytes > HUGE_FROM:
        with suppress(OSError):  # a kernel without huge pages
            found.madvise(mmap.MADV_HUGEPAGE, HUGE_FROM)
    return found
