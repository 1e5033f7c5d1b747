"""The columns of a rating file, and the checks of values that all formats share."""

import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.events import LARGEST_RATING
from dch.data.ids import id_text
from dch.data.readers.read_options import FLAGS, option_text
from dch.data.times import EXPECTED, is_order, places, time_number, to_milliseconds
from dch.errors import RatingsError

EXACT_DIGITS = 15
"""Whole numbers with as many digits are exact as floats."""

_WHOLE_FLOAT = re.compile(r"(-?\d+)\.0+")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_EXPONENT = re.compile(r"-?\d(\.\d+)?[eE]\+\d+")

_log = logging.getLogger(__name__)


class RatingColumns(NamedTuple):
    """The rating events of a file, in its order, as columns of equal length."""

    users: list[str]
    items: list[str]
    ratings: NDArray[np.float32]
    """(n,) NaN withdraws a rating."""

    timestamps: NDArray[np.int64] | None
    """(n,) milliseconds since 1970, 0 for no time, or small places in an order; None if the file has none."""


class FoundColumns(NamedTuple):
    """Columns as a reader finds them, before they are checked as a whole."""

    users: list[str]
    """(n,) empty where the file has no id."""

    items: list[str]
    ratings: NDArray[np.float64] | None
    """(n,) None if each line counts 1."""

    times: NDArray[np.float64] | None
    """(n,) in any unit, 0 for no time; None if the file has no times."""


def finish(
    found: FoundColumns, file: object, position_of: Callable[[int], str], notes: Sequence[str] = ()
) -> RatingColumns:
    """Check whole columns, give times their unit, and say in the log what was left out or not used.

    Args:
        found: the columns.
        file: the file, for messages.
        position_of: returns the position of a row, for messages.
        notes: more sentences for the log.

    Raises:
        RatingsError: no row has both ids, or a time is out of range.
    """
    n, said = len(found.users), list(notes)
    timestamps = None if found.times is None else _timestamps(found.times, position_of, said)
    kept = _rows_with_ids(found, position_of, said)
    ratings = np.ones(n, np.float32) if found.ratings is None else found.ratings.astype(np.float32)
    for sentence in said:
        _log.warning("%s: %s", file, sentence)
    if len(kept) == n:
        return RatingColumns(found.users, found.items, ratings, timestamps)
    rows = kept.tolist()
    return RatingColumns(
        [found.users[row] for row in rows],
        [found.items[row] for row in rows],
        ratings[kept],
        None if timestamps is None else timestamps[kept],
    )


def _timestamps(
    times: NDArray[np.float64], position_of: Callable[[int], str], said: list[str]
) -> NDArray[np.int64]:
    """Return the times in milliseconds, or the places in the order that they stand for."""
    if is_order(times):
        said.append(
            f"the times are all small, {times.min():.15g} to {times.max():.15g}, so they are read as an "
            f"order and no rating has a time; {FLAGS['timestamp']} names another column"
        )
        return places(times)
    milliseconds, is_odd = to_milliseconds(times)
    if is_odd.any():
        first = int(is_odd.argmax())
        raise RatingsError(
            f"{position_of(first)}: timestamp: {EXPECTED}, got '{times[first]:.15g}'; "
            f"0 or nothing is no time, and {option_text('time_column', 'none')} reads no times"
        )
    if n_none := int((times == 0).sum()):
        said.append(f"{n_none} of {len(times)} ratings have no time and count as older than all others")
    return milliseconds


def _rows_with_ids(
    found: FoundColumns, position_of: Callable[[int], str], said: list[str]
) -> NDArray[np.int64]:
    """Return the rows that have both ids."""
    has_ids = np.array([bool(u and i) for u, i in zip(found.users, found.items, strict=True)], np.bool_)
    if len(has_ids) and not has_ids.any():
        column = "user" if not found.users[0] else "item"
        raise RatingsError(f"{position_of(0)}: {column}: expected an id, got ''")
    if n_without := int((~has_ids).sum()):
        said.append(f"{n_without} of {len(has_ids)} lines have no user or no item and are left out")
    return np.flatnonzero(has_ids)


def cell_id(text: str, column: str, position: str) -> str:
    """Return the id in a cell of a text file, without blanks around it; empty if there is none.

    ``123.0``, which is how data frames write integers beside a missing one, is 123.

    Raises:
        RatingsError: the id is a float that has lost digits.
    """
    text = text.strip()
    whole = _WHOLE_FLOAT.fullmatch(text)
    if _EXPONENT.fullmatch(text) or (whole and len(whole[1]) > EXACT_DIGITS):
        return id_text(float(text), f"{position}: {column}")
    return str(int(whole[1])) if whole else text


def check_id(value: object, column: str, position: str) -> str:
    """Return an id as text; numbers are accepted, and null is empty.

    Raises:
        RatingsError: the value is neither text nor a number, or has lost digits.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return ""
    return id_text(value, f"{position}: {column}")


def check_rating(value: object, position: str) -> float:
    """Return a rating as a number.

    Raises:
        RatingsError: the value is not a number, or not finite in float32.
    """
    number = _number(value)
    if number is None or abs(number) > LARGEST_RATING:
        raise RatingsError(f"{position}: rating: expected a finite number, got {value!r}{_hint(value)}")
    return number


def check_timestamp(value: object, position: str) -> float:
    """Return a time as a number in its unit, 0 for no time.

    Raises:
        RatingsError: the value is not a time.
    """
    try:
        return time_number(value, f"{position}: timestamp")
    except RatingsError as error:
        raise RatingsError(f"{error}; {FLAGS['timestamp']} names another column, or none") from None


def _hint(value: object) -> str:
    """Return what helps with a rating that is no number, if that is known."""
    if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip()):
        return f"; replace decimal commas by points, as in {value.strip().replace(',', '.')}"
    return f"; {FLAGS['rating']} names another column, or none" if _is_word(value) else ""


def _is_word(value: object) -> bool:
    """Return whether a value is a word, as in a column that holds no ratings at all."""
    return isinstance(value, str) and len(value) > 1 and value.strip().isalpha()


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            return float(value) if "_" not in value and math.isfinite(float(value)) else None
        except ValueError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None
