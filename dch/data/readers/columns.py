"""The rating events of one file as columns, and the checks that every format shares."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import RatingsError

SECONDS_BELOW = 1e11
"""Timestamps below this are seconds: in milliseconds it is March 1973, in seconds the year 5138."""

LARGEST_RATING = float(np.finfo(np.float32).max)
"""Ratings are kept as float32; one that does not fit would become infinite."""

LATEST_MS = 1e14
"""Timestamps from here on are finer than milliseconds, and refused."""


class RatingColumns(NamedTuple):
    """Rating events in the order of the file, columns of one length."""

    users: list[str]
    items: list[str]
    ratings: NDArray[np.float32]
    """(n,) NaN withdraws."""

    timestamps: NDArray[np.int64] | None
    """(n,) milliseconds since 1970; None when the file has no time."""


def place(file: Path, line: int) -> str:
    """Write a place in a file the one way that messages do."""
    return f"{file}:{line}"


def check_id(value: object, column: str, where: str) -> str:
    """Return an id as text; whole numbers are accepted.

    Raises:
        RatingsError: it is empty, or neither text nor a number.
    """
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RatingsError(f"{where}: {column}: expected an id, got {value!r}")


def check_rating(value: object, where: str) -> float:
    """Return a rating as a number.

    Raises:
        RatingsError: it is not finite, in float32 either, or no number.
    """
    number = _number(value)
    if number is None or abs(number) > LARGEST_RATING:
        raise RatingsError(f"{where}: rating: expected a finite number, got {value!r}")
    return number


def check_timestamp(value: object, where: str) -> float:
    """Return a timestamp as a number, seconds or milliseconds.

    Raises:
        RatingsError: it is no number, or too large for either.
    """
    number = _number(value)
    if number is None or abs(number) >= LATEST_MS:
        raise RatingsError(f"{where}: timestamp: expected seconds or milliseconds since 1970, got {value!r}")
    return number


def to_milliseconds(timestamps: NDArray[np.float64]) -> NDArray[np.int64]:
    """Turn checked timestamps of one file, all in seconds or all in milliseconds, into milliseconds."""
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
