"""Times: seconds, milliseconds, microseconds or nanoseconds since 1970, dates of Python, and ISO texts.

The unit is decided value by value: read in the right unit, a time lies from 1990 to 2099, and no number does
in two units. 0, null and an empty text mean that there is no time.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from dch.errors import RatingsError

FIRST_MS = 631_152_000_000
"""The start of 1990. A smaller time is one in the wrong unit, or a number that is no time."""

END_MS = 4_102_444_800_000
"""The start of 2100. A larger time would win over all ratings to come."""

MS_BY_UNIT = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}

EXPECTED = "expected a time from 1990 to 2099, as s, ms, us or ns since 1970 or as ISO text"

ORDER_BELOW = FIRST_MS // 1000
"""Times that are all smaller than this, which in seconds is the start of 1990, are an order."""

NO_TIME = frozenset({"", "na", "n/a", "nan", "nat", "null", "none", "\\n"})
"""Texts that stand for no time, in lower case."""

TOO_LARGE = 1e300
"""Integers from about here on have no float."""

_ZONE = re.compile(r" ?(UTC|GMT|Z)$")


def to_milliseconds(times: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times in any unit as milliseconds, 0 for no time, and which are no times; both (n,)."""
    milliseconds, is_odd = np.zeros(len(times), np.int64), times != 0
    for factor in MS_BY_UNIT.values():
        scaled = times * factor
        fits = (scaled >= FIRST_MS) & (scaled < END_MS)
        milliseconds[fits] = np.rint(scaled[fits])
        is_odd &= ~fits
    return milliseconds, is_odd


def to_millisecond(time: float) -> int | None:
    """Return one time in any unit as milliseconds; None if it is no time from 1990 to 2099."""
    scaled = (time * factor for factor in MS_BY_UNIT.values())
    return next((round(found) for found in scaled if FIRST_MS <= found < END_MS), None)


def is_order(times: NDArray[np.float64]) -> bool:
    """Return whether numbers, (n,), are an order and no times: some are above 0, and all are small."""
    return bool((times > 0).any() and (times >= 0).all() and times.max() < ORDER_BELOW)


def time_number(value: object, position: str) -> float:
    """Return a time as a number in its unit: a number as it is, anything else in milliseconds; 0 is no time.

    Args:
        value: a number, text that holds a number or an ISO date, a date of Python or numpy, or a missing one:
            None, NaN, NaT or ``pandas.NA``.
        position: where the value is from, for messages.

    Raises:
        RatingsError: the value is none of these.
    """
    number: float | None = None
    if _is_missing(value):
        return 0.0
    if isinstance(value, str):
        number = _number_of(value.strip())
    elif isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        number = float(value) if -TOO_LARGE < value < TOO_LARGE else None
    elif isinstance(value, np.datetime64):
        number = float(value.astype("datetime64[ms]").astype(np.int64))
    elif isinstance(value, date):
        number = _milliseconds_of(value)
    if number is None or not np.isfinite(number):
        raise RatingsError(f"{position}: {EXPECTED}, got {_short(value)}")
    return number


def times_of(values: Iterable[object], what: str) -> NDArray[np.int64]:
    """Return a column of times in milliseconds, (n,); an order stays as it is.

    Args:
        values: (n,) times; also a column of numpy or pandas with dates.
        what: name of the column, for messages.

    Raises:
        RatingsError: a value is no time, or lies before 1990 or after 2099; names the first one.
    """
    times = _numbers(values, what)
    if is_order(times):
        return places(times)
    milliseconds, is_odd = to_milliseconds(times)
    if is_odd.any():
        first = int(is_odd.argmax())
        raise RatingsError(f"{what}[{first}]: {EXPECTED}, got {times[first]:.15g}")
    return milliseconds


def places(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order as whole numbers, (n,): as it is, or counted from 1 if it has fractions."""
    if (times % 1 == 0).all():
        return times.astype(np.int64)
    counted: NDArray[np.int64] = np.unique(times, return_inverse=True)[1].astype(np.int64) + 1
    return counted


def _numbers(values: Iterable[object], what: str) -> NDArray[np.float64]:
    found = values if isinstance(values, np.ndarray) else np.array(list(values), object)
    if np.issubdtype(found.dtype, np.datetime64):
        is_known = ~np.isnat(found)
        return np.where(is_known, found.astype("datetime64[ms]").astype(np.int64), 0).astype(np.float64)
    if np.issubdtype(found.dtype, np.integer):
        return found.astype(np.float64)
    return np.array(
        [time_number(value, f"{what}[{n}]") for n, value in enumerate(found.tolist())], np.float64
    )


def _is_missing(value: object) -> bool:
    """Tell whether a value stands for none: NaN and NaT differ from themselves, pandas.NA does not say."""
    if value is None:
        return True
    differs: object = value != value
    return bool(differs) if isinstance(differs, bool | np.bool_) else differs is value


def _short(value: object) -> str:
    return "a number of too many digits" if isinstance(value, int) else repr(value)


def _number_of(text: str) -> float | None:
    if text.lower() in NO_TIME:
        return 0.0
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        pass
    try:
        return _milliseconds_of(datetime.fromisoformat(_ZONE.sub("+00:00", text)))
    except ValueError:
        return None


def _milliseconds_of(found: date) -> float:
    """Return a date as milliseconds since 1970; one without a zone is in UTC."""
    moment = (
        found if isinstance(found, datetime) else datetime(found.year, found.month, found.day, tzinfo=UTC)
    )
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return moment.timestamp() * 1000
