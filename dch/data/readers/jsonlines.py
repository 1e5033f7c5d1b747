"""Read JSON lines: each line is an object, such as the value of a record of the ratings topic.

As for text files, pyarrow reads the whole file at once where it can; the reader by line defines the result.
"""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json

from dch.data.readers.arrow_columns import convert_columns
from dch.data.readers.column_names import find_columns, notes_on_unused
from dch.data.readers.rating_columns import (
    FoundColumns,
    RatingColumns,
    check_id,
    check_rating,
    check_timestamp,
    finish,
)
from dch.data.readers.read_options import ReadOptions
from dch.data.readers.text_lines import UTF_8, line_position, read_lines
from dch.errors import RatingsError

Keys = Mapping[str, str]
"""The key of each column that is read."""


def read_jsonlines(file: Path, options: ReadOptions | None = None) -> RatingColumns:
    """Read ``{"user": "u1", "item": "i9", "rating": 4.5, "timestamp": 1700000000000}``, one per line.

    A null rating withdraws. Other usual names of columns are taken, too. The first line says which columns
    there are: either all lines have a rating or none, and likewise for times.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    options = options or ReadOptions()
    position, first = next(read_objects(file, options.text_encoding), ("", None))
    if first is None:
        return RatingColumns([], [], np.empty(0, np.float32), None)
    names = list(first)
    columns = find_columns(names, position, options)
    keys = {column: names[index] for column, index in columns.items()}
    notes = notes_on_unused(names, list(first.values()), columns, options)
    found = _read_in_bulk(file, keys, first) if options.text_encoding == UTF_8 else None
    if found is not None:
        try:
            return finish(found, file, str, notes)
        except RatingsError:
            pass  # the reader by line names the line at fault
    found, positions = _read_by_line(file, keys, options.text_encoding)
    return finish(found, file, positions.__getitem__, notes)


def read_objects(file: Path, encoding: str = UTF_8) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the position and the object of each line that is not blank.

    A ``.json`` file may also be one list of objects.

    Raises:
        RatingsError: a line is not a JSON object; names the line.
    """
    may_be_list = file.name.lower().removesuffix(".gz").endswith(".json")
    for number, line in read_lines(file, encoding):
        if not line.strip():
            continue
        if may_be_list and line.lstrip().startswith("["):
            yield from _list_of_objects(file, encoding)
            return
        may_be_list, position = False, line_position(file, number)
        yield position, _object(line, position)


def _list_of_objects(file: Path, encoding: str) -> Iterator[tuple[str, dict[str, object]]]:
    text = "".join(line for _, line in read_lines(file, encoding))
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RatingsError(f"{file}: expected a list of JSON objects: {error}") from error
    for number, fields in enumerate(found, 1):
        position = f"{file}: object {number}"
        if not isinstance(fields, dict):
            raise RatingsError(f"{position}: expected a JSON object, got {_short(repr(fields))}")
        yield position, fields


_decode = msgspec.json.Decoder().decode


def _object(line: str, position: str) -> dict[str, object]:
    try:
        fields = _decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:  # RecursionError: too deeply nested
        raise RatingsError(f"{position}: expected a JSON object, got {_short(line)!r}: {error}") from error
    if not isinstance(fields, dict):
        raise RatingsError(f"{position}: expected a JSON object, got {_short(line)!r}")
    return fields


def _read_in_bulk(file: Path, keys: Keys, first: Mapping[str, object]) -> FoundColumns | None:
    """Read the whole file at once; None if pyarrow rejects it, or a value is null or of another type."""
    types = {column: _arrow_type(column, first[key]) for column, key in keys.items()}
    if None in types.values():
        return None
    absent = [column for column in ("rating", "timestamp") if column not in keys]
    schema = pa.schema(
        [(keys[column], kind) for column, kind in types.items()] + [(name, pa.float64()) for name in absent]
    )
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            content = stream.read()
        table = pa_json.read_json(
            io.BytesIO(content),
            read_options=pa_json.ReadOptions(block_size=1 << 24),
            parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        if not _is_one_a_line(content, len(table)):
            return None
        columns = {column: table[key] for column, key in keys.items()}
        if any(column.null_count for column in columns.values()):
            return None
        if any(table[name].null_count < len(table) for name in absent):
            return None  # only the reader by line names the first line that differs
        return convert_columns(columns, str)
    except (pa.ArrowInvalid, OSError, RatingsError, UnicodeError):
        return None


def _is_one_a_line(content: bytes, n_objects: int) -> bool:
    """Return whether each line holds one object; pyarrow also takes many on one, or one over many."""
    lines = [line for line in map(bytes.strip, content.split(b"\n")) if line]
    return len(lines) == n_objects and all(line[0] == ord("{") and line[-1] == ord("}") for line in lines)


def _arrow_type(column: str, value: object) -> pa.DataType | None:
    """Return the type to read a column as, by its first value; None if only the reader by line can."""
    if isinstance(value, str) and column != "rating":
        return pa.string()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if column in ("user", "item"):
        return pa.int64() if isinstance(value, int) and abs(value) < 2**63 else None
    return pa.float64()


def _read_by_line(file: Path, keys: Keys, encoding: str) -> tuple[FoundColumns, list[str]]:
    """Return the columns and the position of each row."""
    users: list[str] = []
    items: list[str] = []
    ratings: list[float] = []
    times: list[float] = []
    positions: list[str] = []
    for position, fields in read_objects(file, encoding):
        _check_keys(fields, keys, position)
        positions.append(position)
        users.append(check_id(fields.get(keys["user"]), "user", position))
        items.append(check_id(fields.get(keys["item"]), "item", position))
        if "rating" in keys:
            rating = fields[keys["rating"]]
            ratings.append(np.nan if rating is None else check_rating(rating, position))
        if "timestamp" in keys:
            times.append(check_timestamp(fields[keys["timestamp"]], position))
    found = FoundColumns(
        users,
        items,
        np.array(ratings, np.float64) if "rating" in keys else None,
        np.array(times, np.float64) if "timestamp" in keys else None,
    )
    return found, positions


def _check_keys(fields: Mapping[str, object], keys: Keys, position: str) -> None:
    """Check that a line has a rating and a time if the first line has, and otherwise none."""
    if "rating" in keys and keys["rating"] not in fields:
        raise RatingsError(
            f"{position}: {keys['rating']}: expected a number, or null to withdraw, but the key is missing"
        )
    if "timestamp" in keys and keys["timestamp"] not in fields:
        raise RatingsError(
            f"{position}: {keys['timestamp']}: expected a time, or null for none, but the key is missing"
        )
    for column in ("rating", "timestamp"):
        if column not in keys and column in fields:
            raise RatingsError(f"{position}: {column}: expected none, because the first line has none")


def _short(line: str) -> str:
    text = line.strip()
    return text if len(text) <= 60 else text[:57] + "..."
