"""Checks of the values of one rating event that a program gives."""

import numpy as np

from dch.data.ids import id_text
from dch.data.times import EXPECTED, FIRST_MS, is_order, time_number, to_milliseconds
from dch.errors import RatingsError

LARGEST_RATING = float(np.finfo(np.float32).max)
"""Ratings are stored as float32; a larger rating would become infinite."""


def event_id(value: object, what: str) -> str:
    """Return the id of a user or an item as text; see ``id_text``.

    Args:
        value: the id.
        what: ``user`` or ``item``, for messages.

    Raises:
        RatingsError: the id is empty, is neither text nor a number, or cannot be kept.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and value):
        raise RatingsError(f"{what} must be a non-empty string or a number, got {value!r}")
    return id_text(value, what)


def rating_number(rating: object) -> float:
    """Return a rating as a number; NaN, which withdraws a rating, stays.

    Raises:
        RatingsError: the rating is not a number, or not finite in float32.
    """
    is_number = isinstance(rating, int | float | np.integer | np.floating) and not isinstance(rating, bool)
    if not is_number or abs(rating) > LARGEST_RATING:  # type: ignore[arg-type]
        raise RatingsError(f"rating must be a finite number, or NaN to withdraw, got {rating!r}")
    return float(rating)  # type: ignore[arg-type]


def time_after(time: object, newest_ms: int) -> int:
    """Return the time of an event in milliseconds since 1970.

    Args:
        time: a time of ``dch.data.times``, or None or 0 for an event without one.
        newest_ms: the latest time so far, which an event without a time gets. Below 1990 it is a place in an
            order, and the next event may have such a place, too.

    Raises:
        RatingsError: it is not a time, or lies before 1990 or after 2099.
    """
    number = np.array([time_number(time, "timestamp_ms")])
    if not number.any():
        return newest_ms
    if newest_ms < FIRST_MS and is_order(number):
        return int(number[0])
    milliseconds, is_odd = to_milliseconds(number)
    if is_odd[0]:
        raise RatingsError(f"timestamp_ms: {EXPECTED}, got {time!r}")
    return int(milliseconds[0])
