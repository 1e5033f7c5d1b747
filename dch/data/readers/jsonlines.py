"""One JSON object a line: the value of a record of the topic of ratings, kept in a file."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from dch.data.readers.columns import (
    RatingColumns,
    check_id,
    check_rating,
    check_timestamp,
    place,
    to_milliseconds,
)
from dch.data.readers.lines import read_lines
from dch.errors import RatingsError


def read_jsonlines(file: Path) -> RatingColumns:
    """Read ``{"user": "u1", "item": "i9", "rating": 4.5, "timestamp": 1700000000000}``, one a line.

    A rating of null withdraws. Either all lines have a timestamp or none has.

    Raises:
        RatingsError: naming the file, the line and what was found there.
    """
    users: list[str] = []
    items: list[str] = []
    ratings: list[float] = []
    times: list[float] = []
    has_time: bool | None = None
    for where, fields in read_objects(file):
        has_time = "timestamp" in fields if has_time is None else has_time
        users.append(check_id(fields.get("user"), "user", where))
        items.append(check_id(fields.get("item"), "item", where))
        ratings.append(_rating(fields, where))
        if has_time or "timestamp" in fields:
            if not has_time:
                raise RatingsError(f"{where}: timestamp: expected none, as on the lines before")
            times.append(check_timestamp(fields.get("timestamp"), where))
    timestamps = to_milliseconds(np.array(times)) if has_time else None
    return RatingColumns(users, items, np.array(ratings, np.float32), timestamps)


def read_objects(file: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the object of each line that is not blank, with its place.

    Raises:
        RatingsError: a line is no JSON object; names the line.
    """
    decode = msgspec.json.Decoder().decode
    for number, line in read_lines(file):
        if not line.strip():
            continue
        where = place(file, number)
        try:
            fields = decode(line)
        except (msgspec.DecodeError, RecursionError) as error:  # the latter: nested without end
            raise RatingsError(f"{where}: expected a JSON object, got {_short(line)!r}: {error}") from error
        if not isinstance(fields, dict):
            raise RatingsError(f"{where}: expected a JSON object, got {_short(line)!r}")
        yield where, fields


def _rating(fields: dict[str, object], where: str) -> float:
    if "rating" not in fields:
        raise RatingsError(f"{where}: rating: expected a number, or null to withdraw, got nothing")
    return np.nan if fields["rating"] is None else check_rating(fields["rating"], where)


def _short(line: str) -> str:
    text = line.strip()
    return text if len(text) <= 60 else text[:57] + "..."
