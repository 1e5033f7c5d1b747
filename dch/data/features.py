"""Feature tokens: how a feature record of a user or an item becomes tokens of its bag.

A feature record is a JSON object. Each value becomes one token, each value in a list likewise: ``{"genres":
["Drama", "War"], "age": 25}`` gives ``genres=Drama``, ``genres=War`` and ``age=25``. Three kinds of keys give
no token of their own: display texts (``title``, ``name``, ``description``), identifiers (``zip``), and keys
that the service itself reads (``available``).

A number also gives the token of its range, so that numbers which are near each other share a token:
``age=25`` is joined by ``age~20``, which stands for 20 to 30. A whole number from 1800 to 2099 is taken for a
year, whose range is the decade. A title gives the year in parentheses at its end or before a remark, such as
``year=1995`` and ``year~1990``, unless the record has a year; its words give no tokens.

The ranges are fixed, not learned from ratings. So a record gives the same tokens in a fit, in a worker and
with every model.
"""

import re
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import isfinite

Features = Mapping[str, object]
"""The feature record of one user or one item, as read from JSON."""

AVAILABLE = "available"
"""The key of an item that says whether it may be recommended."""

YES = frozenset({"true", "yes", "y", "t", "on", ""})
NO = frozenset({"false", "no", "n", "f", "off"})

TITLES = ("title", "name")
"""Display texts that may hold a year."""

YEAR = "year"
"""The key of the year that a title holds."""

NOT_TOKENS = frozenset({"title", "name", "description", "zip", "zip_code", AVAILABLE})


def availability(features: Features) -> bool | None:
    """Return whether an item may be recommended; None if its ``available`` cannot be understood.

    ``false``, 0, numbers below 0 and the texts ``"false"``, ``"no"``, ``"n"``, ``"f"`` and ``"off"`` hide an
    item. ``true``, numbers above 0 (pieces in stock), the opposites of these texts, null and a missing key do
    not. A number may be text, as in tables.
    """
    found = features.get(AVAILABLE)
    if isinstance(found, str):
        found = _meaning(found.strip().lower())
        if found is None:
            return None
    if found is None or isinstance(found, bool):
        return found is not False
    if not isinstance(found, int | float) or found != found:  # NaN differs from itself
        return None
    return found > 0


def _meaning(text: str) -> bool | float | None:
    """Return the boolean or the number that a text stands for; None if it stands for neither."""
    if text in YES or text in NO:
        return text in YES
    try:
        return float(text)
    except ValueError:
        return None


TITLE_YEAR = re.compile(r"\((\d{4})\)")
PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?", re.ASCII)
"""A number as text; digits after a leading zero are a code, such as ``007``."""

YEARS = range(1800, 2100)

SCALAR = (str, int, float)
"""Types of the values that give tokens."""

LONGEST_KEPT = 100
"""Characters of a key with its value whose tokens are kept for the next record: few values are in most
records, and none of them is a text of any length, which would fill the memory."""

RANGE_STARTS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
"""Where ranges of numbers begin, times any power of ten: each ends at about 1.5 times its start."""


def tokens(features: Features) -> list[str]:
    """Turn a feature record into its tokens, in the order of the record, without duplicates."""
    found: list[str] = []
    for key, values in features.items():
        if key not in NOT_TOKENS:
            for value in _scalars(values):
                found += _value_tokens(key, value)
    if YEAR not in features:
        for year in _title_years(features):
            found += _value_tokens(YEAR, year)
    return list(dict.fromkeys(found))


def _value_tokens(key: str, value: str | float) -> Sequence[str]:
    is_long = len(key) + (len(value) if isinstance(value, str) else 0) > LONGEST_KEPT
    return _new_tokens(key, value) if is_long else _kept_tokens(key, value)


def _new_tokens(key: str, value: str | float) -> Sequence[str]:
    number = _number(value)
    if number is None:
        return (f"{key}={value}",)
    return f"{key}={number}", f"{key}~{_range_start(number)}"


_kept_tokens = lru_cache(maxsize=1 << 16, typed=True)(_new_tokens)  # typed, because True equals 1


def _number(value: str | float) -> int | float | None:
    """Return the number that a value is or shows, the same for 25, 25.0 and "25"; None if it is none."""
    if isinstance(value, bool) or (isinstance(value, str) and not PLAIN_NUMBER.fullmatch(value)):
        return None
    try:
        number = float(value)
        return int(number) if number.is_integer() else number if isfinite(number) else None
    except OverflowError:  # a whole number above 1e308
        return None


def _range_start(number: float) -> str:
    if number in YEARS:
        return f"{int(number) // 10 * 10}"
    if number == 0:
        return "0"
    digits, _, exponent = f"{abs(number):.16e}".partition("e")
    start = RANGE_STARTS[bisect(RANGE_STARTS, float(digits)) - 1]
    return f"{'-' if number < 0 else ''}{float(f'{start}e{exponent}'):g}"


def _title_years(features: Features) -> Iterator[int]:
    for key in TITLES:
        title = features.get(key)
        years = [int(found) for found in TITLE_YEAR.findall(title)] if isinstance(title, str) else []
        yield from [year for year in years if year in YEARS][-1:]


def _scalars(values: object) -> Sequence[str | float]:
    if isinstance(values, SCALAR):
        return (values,)
    if isinstance(values, Sequence):
        return [value for value in values if isinstance(value, SCALAR)]
    return ()
