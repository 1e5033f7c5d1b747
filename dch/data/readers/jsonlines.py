"""Read JSON lines: each line is the value of a record of the ratings topic."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from dch.data.readers.rating_columns import (
    RatingColumns,
    check_id,
    check_rating,
    check_timestamp,
    to_milliseconds,
)
from dch.data.readers.text_lines import line_position, read_lines
from dch.errors import RatingsError


def read_jsonlines(file: Path) -> RatingColumns:
    """Read ``{"user": "u1", "item": "i9", "rating": 4.5, "timestamp": 1700000000000}``, one per line.

    A null rating withdraws. Either all lines have a timestamp or none.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    users: list[str] = []
    items: list[str] = []
    ratings: list[float] = []
    times: list[float] = []
    has_time: bool | None = None
    for position, fields in read_objects(file):
        has_time = "timestamp" in fields if has_time is None else has_time
        users.append(check_id(fields.get("user"), "user", position))
        items.append(check_id(fields.get("item"), "item", position))
        ratings.append(_rating(fields, position))
        if has_time or "timestamp" in fields:
            if not has_time:
                raise RatingsError(f"{position}: timestamp: expected none, because the first line has none")
            times.append(check_timestamp(fields.get("timestamp"), position))
    timestamps = to_milliseconds(np.array(times)) if has_time else None
    return RatingColumns(users, items, np.array(ratings, np.float32), timestamps)


def read_objects(file: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the position and the object of each line that is not blank.

    Raises:
        RatingsError: a line is not a JSON object; names the line.
    """
    decode = msgspec.json.Decoder().decode
    for number, line in read_lines(file):
        if not line.strip():
            continue
        position = line_position(file, number)
        try:
            fields = decode(line)
        except (msgspec.DecodeError, RecursionError) as error:  # RecursionError: too deeply nested
            raise RatingsError(
                f"{position}: expected a JSON object, got {_short(line)!r}: {error}"
            ) from error
        if not isinstance(fields, dict):
            raise RatingsError(f"{position}: expected a JSON object, got {_short(line)!r}")
        yield position, fields


def _rating(fields: dict[str, object], position: str) -> float:
    if "rating" not in fields:
        raise RatingsError(
            f"{position}: rating: expected a number, or null to withdraw, but the key is missing"
        )
    return np.nan if fields["rating"] is None else check_rating(fields["rating"], position)


def _short(line: str) -> str:
    text = line.strip()
    return text if len(text) <= 60 else text[:57] + "..."
