"""Read text files with one rating per line and a separator between columns.

pyarrow reads the whole file at once. If it rejects the file, or a value fails a check, the file is read again
line by line, which either succeeds or names the line at fault.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from dch.data.readers.rating_columns import (
    LARGEST_RATING,
    LATEST_MS,
    RatingColumns,
    check_id,
    check_rating,
    check_timestamp,
    find_columns,
    to_milliseconds,
)
from dch.data.readers.text_lines import line_position, read_csv_lines, read_lines
from dch.errors import RatingsError


@dataclass(frozen=True)
class Layout:
    """How the lines of a format are split into columns."""

    separator: str
    """Separator of columns, one or more characters."""

    quotes: bool = False
    """Whether values may be in double quotes."""

    names: tuple[str, ...] | None = None
    """Names of the columns; None if the first line is a header (of ``name:type`` the type is dropped)."""


def read_delimited(file: Path, layout: Layout) -> RatingColumns:
    """Read a file.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    columns, width = _header(file, layout)
    events = read_in_bulk(file, layout, columns, width)
    return read_by_line(file, layout, columns) if events is None else events


def read_in_bulk(file: Path, layout: Layout, columns: dict[str, int], width: int) -> RatingColumns | None:
    """Read the whole file at once; return None if pyarrow rejects it or a value fails a check.

    Args:
        file: the file.
        layout: how its lines are split.
        columns: index of the columns user, item, rating and, optionally, timestamp.
        width: number of all columns.
    """
    try:
        table = _arrow_table(file, layout, columns, width)
    except (pa.ArrowInvalid, OSError):
        return None
    ratings, users, items = table["rating"].to_numpy(), table["user"], table["item"]
    times = table["timestamp"].to_numpy() if "timestamp" in columns else np.zeros(0)
    if not (np.abs(ratings) <= LARGEST_RATING).all() or not (np.abs(times) < LATEST_MS).all():
        return None
    if pc.any(pc.equal(users, "")).as_py() or pc.any(pc.equal(items, "")).as_py():
        return None
    timestamps = to_milliseconds(times) if "timestamp" in columns else None
    return RatingColumns(users.to_pylist(), items.to_pylist(), ratings.astype(np.float32), timestamps)


def read_by_line(file: Path, layout: Layout, columns: dict[str, int]) -> RatingColumns:
    """Read the file line by line; arguments as for ``read_in_bulk``.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    users: list[str] = []
    items: list[str] = []
    ratings: list[float] = []
    times: list[float] = []
    for number, values in _cells(file, layout):
        position = line_position(file, number)
        if len(values) <= max(columns.values()):
            raise RatingsError(
                f"{position}: expected {max(columns.values()) + 1} columns, found {len(values)}"
            )
        users.append(check_id(values[columns["user"]], "user", position))
        items.append(check_id(values[columns["item"]], "item", position))
        ratings.append(check_rating(values[columns["rating"]], position))
        if "timestamp" in columns:
            times.append(check_timestamp(values[columns["timestamp"]], position))
    timestamps = to_milliseconds(np.array(times)) if "timestamp" in columns else None
    return RatingColumns(users, items, np.array(ratings, np.float32), timestamps)


def _header(file: Path, layout: Layout) -> tuple[dict[str, int], int]:
    """Return the index of each column that is read, and the number of all columns."""
    if layout.names is not None:
        return find_columns(layout.names, str(file)), len(layout.names)
    _, first = next(_raw_cells(file, layout), (1, []))
    names = [name.partition(":")[0] for name in first]
    return find_columns(names, line_position(file, 1)), len(names)


def _arrow_table(file: Path, layout: Layout, columns: dict[str, int], width: int) -> pa.Table:
    names = [f"column {index}" for index in range(width)]
    for name, index in columns.items():
        names[index] = name
    with pa.input_stream(str(file), compression="detect") as stream:
        source, separator = stream, layout.separator
        if len(separator) > 1:  # pyarrow accepts one character, MovieLens separates by two
            content = stream.read().replace(separator.encode(), b"\t")
            source, separator = io.BytesIO(content), "\t"
        types = {name: pa.float64() for name in columns} | {"user": pa.string(), "item": pa.string()}
        return pa_csv.read_csv(
            source,
            read_options=pa_csv.ReadOptions(
                column_names=names, skip_rows=0 if layout.names else 1, block_size=1 << 24
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=separator, quote_char='"' if layout.quotes else False
            ),
            convert_options=pa_csv.ConvertOptions(column_types=types, include_columns=list(columns)),
        )


def _cells(file: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the values of each line below the header; empty lines are skipped."""
    lines = _raw_cells(file, layout)
    if layout.names is None:
        next(lines, None)
    return ((number, values) for number, values in lines if values)


def _raw_cells(file: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    if layout.quotes:
        yield from read_csv_lines(file, layout.separator)
        return
    for number, line in read_lines(file):
        text = line.rstrip("\r\n")
        yield number, text.split(layout.separator) if text else []
