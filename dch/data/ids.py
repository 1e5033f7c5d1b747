"""Ids: external strings, and the table that maps them to rows (dense integers). A row never changes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.errors import RatingsError

UNKNOWN = -1
"""The row of an id that is not in the table."""

LARGEST_EXACT = 2**53 - 1
"""Floats beyond this may have lost the last digit of a whole number."""

TOO_LONG = 10**256
"""Integers from here on are no ids: an id on Kafka has at most 256 bytes."""


def id_text(value: object, position: str) -> str:
    """Return an id as text; a number becomes its text, and a whole float that of the integer.

    Args:
        value: text or a number, of Python or of numpy.
        position: where the id is from, for messages.

    Raises:
        RatingsError: the id is empty, is neither text nor a number, is a float that has lost digits, or
            cannot be written as UTF-8.
    """
    if isinstance(value, str) and value:
        return _encodable(str(value), position)
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) < TOO_LONG:
        return str(int(value))
    if isinstance(value, float | np.floating) and np.isfinite(value):
        return _float_text(float(value), position)
    found = (
        "a number of too many digits" if isinstance(value, int) and abs(value) >= TOO_LONG else repr(value)
    )
    raise RatingsError(f"{position}: expected an id, got {found[:80]}")


def id_texts(values: Iterable[object], what: str) -> list[str]:
    """Return a column of ids as text; see ``id_text``.

    Args:
        values: a list, a column of numpy or pandas, or any other collection of ids.
        what: name of the column, for messages.

    Raises:
        RatingsError: as for ``id_text``, with the position; or ``values`` is one text instead of many ids.
    """
    if isinstance(values, str | bytes):
        raise RatingsError(f"{what}: expected a list of ids, got {values!r}")
    found: list[Any] = _as_list(values)
    if set(map(type, found)) == {str} and all(set(found)):
        for id_ in set(found):
            _encodable(id_, what)
        return found
    return [id_text(value, f"{what}[{position}]") for position, value in enumerate(found)]


def _as_list(values: Iterable[object]) -> list[Any]:
    to_list = getattr(values, "tolist", None)  # of numpy and pandas: turns their scalars into those of Python
    return list(to_list() if callable(to_list) else values)


def _encodable(text: str, position: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RatingsError(
            f"{position}: expected an id that UTF-8 can hold, got {text!r}, which has half a surrogate pair"
        ) from None
    return text


def _float_text(value: float, position: str) -> str:
    if abs(value) > LARGEST_EXACT:
        raise RatingsError(
            f"{position}: expected an id, got {value!r}, a float that has lost the last digits of the id; "
            "keep ids as integers or as text"
        )
    return str(int(value)) if value.is_integer() else str(value)


class IdTable:
    """An append-only table of ids; the n-th distinct id has row n."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._row_of: dict[str, int] = {}
        self._ids: list[str] = []
        self.intern_many(list(ids))

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id_: str) -> bool:
        return id_ in self._row_of

    def __getitem__(self, row: int) -> str:
        return self._ids[row]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def ids(self) -> Sequence[str]:
        """Return all ids in the order of their rows; the table's own list, so do not change it."""
        return self._ids

    def row(self, id_: str) -> int:
        """Return the row of an id, UNKNOWN if it is not in the table."""
        return self._row_of.get(id_, UNKNOWN)

    def rows(self, ids: Iterable[str]) -> NDArray[np.int32]:
        """Return the rows of ids, (n,) int32, UNKNOWN for ids that are not in the table."""
        get = self._row_of.get
        return np.array([get(id_, UNKNOWN) for id_ in ids], np.int32)

    def intern(self, id_: str) -> int:
        """Return the row of an id; a new id is added at the end."""
        row = self._row_of.get(id_)
        if row is None:
            row = self._row_of[id_] = len(self._ids)
            self._ids.append(id_)
        return row

    def intern_many(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Return the rows of ids, (n,) int32; new ids are added in the order given."""
        rows = list(map(self._row_of.get, ids))
        if None in rows:
            rows = [self.intern(id_) if row is None else row for id_, row in zip(ids, rows, strict=True)]
        return np.array(rows, np.int32)
