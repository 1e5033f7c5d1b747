"""Which column of a file is which: by the usual names, or by what the caller says."""

import re
from collections.abc import Sequence

from dch.data.readers.read_options import FLAGS, NO_HEADER, NONE, ReadOptions, option_text
from dch.data.times import END_MS, FIRST_MS, MS_BY_UNIT, time_number
from dch.errors import RatingsError

COLUMN_NAMES = {
    "user": (
        "user", "userid", "uid", "reviewerid", "visitorid", "customerid", "accountid", "memberid",
        "profileid", "customer", "reviewer", "username",
    ),
    "item": (
        "item", "itemid", "iid", "movieid", "productid", "businessid", "bookid", "parentasin", "asin", "isbn",
        "artistid", "trackid", "songid", "albumid", "gameid", "animeid", "recipeid", "articleid", "newsid",
        "videoid", "courseid", "appid", "sku", "product", "movie", "book", "artist", "track", "song", "game",
    ),
    "rating": (
        "rating", "ratings", "stars", "overall", "score", "bookrating", "userrating", "userscore",
        "reviewscore", "reviewrating", "weight", "plays", "playcount", "listens", "listencount", "count",
        "hours", "hoursplayed", "playtime", "quantity",
    ),
    "timestamp": (
        "timestamp", "time", "unixreviewtime", "ts", "datetime", "date", "createdat", "ratedat", "updatedat",
        "eventtime", "eventtimestamp", "unixtime", "unixtimestamp", "timestampms", "ratingdate", "reviewdate",
        "eventdate", "createdtime", "createdate", "created",
    ),
}  # fmt: skip
"""Accepted names of each column, as ``plain`` returns them; the first name found is used."""

_SEPARATORS = re.compile(r"[\s_.\-]")
_NUMBERED = re.compile(r"(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})([ T].*)?")
_TIME_WORDS = ("date", "time")
_TIME_ENDINGS = ("_at", "At", "_on", "On")
_MANY = re.compile(r"\S[\s;,|:^~]+\S")


def plain(name: str) -> str:
    """Return a name in lower case, without blanks, hyphens and the like: ``User-ID`` is ``userid``."""
    return _SEPARATORS.sub("", name.strip().strip("\"'").lower())


def find_columns(names: Sequence[str], position: str, options: ReadOptions | None = None) -> dict[str, int]:
    """Return the index of the columns user and item and, if there are any, rating and timestamp.

    Args:
        names: names of all columns.
        position: where the names are from, for messages.
        options: what the caller says of the columns.

    Raises:
        RatingsError: the column of the users or items is missing, or one that the caller names; names the
            position, what was found, and what helps.
    """
    found = {}
    for column in COLUMN_NAMES:
        given = (options or ReadOptions()).column(column)
        index = _by_usual_name(names, column) if given is None else _given(names, given, column, position)
        if index is not None:
            found[column] = index
        elif column in ("user", "item"):
            raise RatingsError(_missing(names, column, position))
    twice = [column for column in found if list(found.values()).count(found[column]) > 1]
    if twice:
        raise RatingsError(f"{position}: the columns for {' and '.join(twice)} are the same one; change one")
    return found


def id_column(names: Sequence[str], side: str) -> str | None:
    """Return the column of the ids in metadata of one side, ``item`` or ``user``; None if there is none."""
    index = _by_usual_name(names, side)
    if index is None:
        return next((name for name in names if plain(name) == "id"), None)
    return names[index]


def is_header(names: Sequence[str]) -> bool:
    """Return whether cells hold the usual names of the columns of users and items."""
    return all(_by_usual_name(names, column) is not None for column in ("user", "item"))


def notes_on_unused(
    names: Sequence[str], first: Sequence[object], columns: dict[str, int], options: ReadOptions
) -> list[str]:
    """Return sentences about what is missing, and about the columns that may be what is missing.

    Args:
        names: names of all columns.
        first: their values in the first line.
        columns: the columns that are read.
        options: what the caller says; nothing is missing that is said to be ``none``.
    """
    rest = [index for index in range(len(names)) if index not in columns.values()]
    notes = [
        f"{len(twice) + 1} columns are called {names[index]!r}, and the first of them is read"
        for index in columns.values()
        if (twice := [other for other in rest if names[other] == names[index]])
    ]
    if "timestamp" not in columns and options.time_column is None:
        dates = [
            names[index] for index in rest if index < len(first) and _is_date(names[index], first[index])
        ]
        notes += [
            f"no times are read, though the column {name!r} may hold them; then give "
            f"{option_text('time_column', name)}"
            for name in dates[:1]
        ]
    if "rating" not in columns and options.rating_column is None:
        others = ", ".join(names[index] for index in rest) or "none"
        notes.append(
            "no column is known as the rating, so each line counts 1; "
            f"columns that are not used: {others}; {FLAGS['rating']} says which one is the rating"
        )
    return notes


def _by_usual_name(names: Sequence[str], column: str) -> int | None:
    simple = [plain(name) for name in names]
    return next((simple.index(name) for name in COLUMN_NAMES[column] if name in simple), None)


def _given(names: Sequence[str], given: str, column: str, position: str) -> int | None:
    if given.lower() == NONE and column in ("rating", "timestamp") and given not in names:
        return None
    simple = [plain(name) for name in names]
    for known, wanted in ((list(names), given), (simple, plain(given))):
        if wanted in known:
            return known.index(wanted)
    if given.isdecimal() and 1 <= int(given) <= len(names):
        return int(given) - 1
    raise RatingsError(
        f"{position}: no column {given!r} for the {column}, found {_shown(names)!r}; "
        f"give {FLAGS[column]} the name of a column or its number, 1 to {len(names)}"
    )


def _missing(names: Sequence[str], column: str, position: str) -> str:
    first, second, *_ = COLUMN_NAMES[column]
    return (
        f"{position}: no column for the {column}, found {_shown(names)!r}; "
        f"name it {first!r} or {second!r}, or give {FLAGS[column]}{_likely_cause(names)}"
    )


def _likely_cause(names: Sequence[str]) -> str:
    if not any(name.strip() for name in names):
        return "; its first line is empty"
    if len(names) == 1 and _MANY.search(names[0]):
        return f"; if these are many columns, give {option_text('delimiter')}, such as space"
    if any(_is_number(name) for name in names):
        return f"; if this line is a rating and there is no header, give {NO_HEADER}"
    return ""


def _shown(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 200 else text[:197] + "..."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_date(name: str, value: object) -> bool:
    """Return whether a column looks like one of times, by its name and a value of it."""
    if isinstance(value, str) and not _is_number(value):
        return bool(_NUMBERED.fullmatch(value.strip()))
    if not (any(word in plain(name) for word in _TIME_WORDS) or name.endswith(_TIME_ENDINGS)):
        return False
    try:
        number = time_number(value, name)
    except RatingsError:
        return False
    return any(FIRST_MS <= number * factor < END_MS for factor in MS_BY_UNIT.values())
