"""The columns of a rating file: which column is which, and the checks of values that all formats share."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import RatingsError

COLUMN_NAMES = {
    "user": ("user", "userid", "uid", "reviewerid"),
    "item": ("item", "itemid", "iid", "movieid", "productid", "businessid", "bookid", "asin"),
    "rating": ("rating", "ratings", "stars", "overall", "score"),
    "timestamp": ("timestamp", "time", "unixreviewtime", "ts"),
}
"""Accepted names of each column, in lower case without underscores; the first name found is used."""

SECONDS_BELOW = 1e11
"""Timestamps below this are seconds: 1e11 milliseconds are March 1973, 1e11 seconds the year 5138."""

LARGEST_RATING = float(np.finfo(np.float32).max)
"""Ratings are stored as float32; a larger rating would become infinite."""

LATEST_MS = 1e14
"""Timestamps of this and more are refused: they are finer than milliseconds."""


class RatingColumns(NamedTuple):
    """The rating events of a file, in its order, as columns of equal length."""

    users: list[str]
    items: list[str]
    ratings: NDArray[np.float32]
    """(n,) NaN withdraws a rating."""

    timestamps: NDArray[np.int64] | None
    """(n,) milliseconds since 1970; None if the file has no times."""


def find_columns(names: Sequence[str], position: str) -> dict[str, int]:
    """Return the index of the columns user, item, rating and, if there is one, timestamp.

    Args:
        names: names of all columns.
        position: where the names are from, for messages.

    Raises:
        RatingsError: a column is missing; names the position.
    """
    plain = [name.strip().lower().replace("_", "") for name in names]
    found = {}
    for column, accepted in COLUMN_NAMES.items():
        indexes = [plain.index(name) for name in accepted if name in plain]
        if indexes:
            found[column] = indexes[0]
        elif column != "timestamp":
            raise RatingsError(
                f"{position}: no column for the {column}, found {', '.join(names)!r}; "
                f"name it {' or '.join(map(repr, accepted[:2]))}"
            )
    return found


def check_id(value: object, column: str, position: str) -> str:
    """Return an id as text; numbers are accepted.

    Raises:
        RatingsError: the value is empty, or neither text nor a number.
    """
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RatingsError(f"{position}: {column}: expected an id, got {value!r}")


def check_rating(value: object, position: str) -> float:
    """Return a rating as a number.

    Raises:
        RatingsError: the value is not a number, or not finite in float32.
    """
    number = _number(value)
    if number is None or abs(number) > LARGEST_RATING:
        raise RatingsError(f"{position}: rating: expected a finite number, got {value!r}")
    return number


def check_timestamp(value: object, position: str) -> float:
    """Return a timestamp as a number, in seconds or milliseconds.

    Raises:
        RatingsError: the value is not a number, or too large.
    """
    number = _number(value)
    if number is None or abs(number) >= LATEST_MS:
        raise RatingsError(
            f"{position}: timestamp: expected seconds or milliseconds since 1970, got {value!r}"
        )
    return number


def to_milliseconds(timestamps: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the checked timestamps of one file, all seconds or all milliseconds, as milliseconds."""
    is_seconds = len(timestamps) > 0 and np.abs(timestamps).max() < SECONDS_BELOW
    return np.rint(timestamps * 1000 if is_seconds else timestamps).astype(np.int64)


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            return float(value) if "_" not in value and math.isfinite(float(value)) else None
        except ValueError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None
