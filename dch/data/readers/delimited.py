"""Read text files with one rating per line and a separator between columns.

pyarrow reads the whole file at once. If it rejects the file, or a value fails a check, the file is read again
line by line, which either succeeds or names the line at fault.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from dch.data.events import LARGEST_RATING
from dch.data.readers.column_names import find_columns, notes_on_unused
from dch.data.readers.layout import Layout, fit_layout, raw_cells
from dch.data.readers.rating_columns import (
    BLANKS,
    FoundColumns,
    RatingColumns,
    cell_id,
    check_rating,
    check_timestamp,
    finish,
)
from dch.data.readers.read_options import ReadOptions
from dch.data.readers.text_lines import line_position
from dch.errors import RatingsError

__all__ = ["Layout", "read_by_line", "read_delimited", "read_in_bulk"]


def read_delimited(file: Path, usual: Layout, options: ReadOptions | None = None) -> RatingColumns:
    """Read a file.

    Args:
        file: the file.
        usual: how the lines of its format are split.
        options: what the caller says of the file.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    options = options or ReadOptions()
    layout = fit_layout(file, usual, options)
    lines = raw_cells(file, layout)
    if layout.names is None:
        names = [name.partition(":")[0] for name in next(lines, (1, []))[1]]
    else:
        names = list(layout.names)
    columns = find_columns(names, str(file) if layout.names else line_position(file, 1), options)
    notes = notes_on_unused(names, next(lines, (1, []))[1], columns, options)
    events = read_in_bulk(file, layout, columns, len(names), notes)
    return read_by_line(file, layout, columns, notes) if events is None else events


def read_in_bulk(
    file: Path, layout: Layout, columns: dict[str, int], width: int, notes: Sequence[str] = ()
) -> RatingColumns | None:
    """Read the whole file at once; return None if pyarrow rejects it or a value fails a check.

    Args:
        file: the file.
        layout: how its lines are split.
        columns: index of the columns user, item and, optionally, rating and timestamp.
        width: number of all columns.
        notes: sentences for the log.
    """
    try:
        table = _arrow_table(file, layout, columns, width)
        ratings = table["rating"].to_numpy() if "rating" in columns else None
        if ratings is not None and not (np.abs(ratings) <= LARGEST_RATING).all():
            return None
        times = _times_of(table["timestamp"]) if "timestamp" in columns else None
        found = FoundColumns(_ids_of(table["user"]), _ids_of(table["item"]), ratings, times)
        return finish(found, file, str, notes)
    except (pa.ArrowInvalid, OSError, RatingsError, UnicodeError):
        return None


def read_by_line(
    file: Path, layout: Layout, columns: dict[str, int], notes: Sequence[str] = ()
) -> RatingColumns:
    """Read the file line by line; arguments as for ``read_in_bulk``.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    cells: dict[str, list[Any]] = {name: [] for name in columns}
    lines: list[int] = []
    for number, values in _cells(file, layout):
        position = line_position(file, number)
        if len(values) <= max(columns.values()):
            raise RatingsError(
                f"{position}: expected {max(columns.values()) + 1} columns, found {len(values)}"
            )
        lines.append(number)
        for name, index in columns.items():
            cells[name].append(_CHECKS[name](values[index], position))
    found = FoundColumns(
        cells["user"],
        cells["item"],
        np.array(cells["rating"], np.float64) if "rating" in columns else None,
        np.array(cells["timestamp"], np.float64) if "timestamp" in columns else None,
    )
    return finish(found, file, lambda row: line_position(file, lines[row]), notes)


_CHECKS: dict[str, Callable[[str, str], object]] = {
    "user": lambda text, position: cell_id(text, "user", position),
    "item": lambda text, position: cell_id(text, "item", position),
    "rating": check_rating,
    "timestamp": check_timestamp,
}


def _arrow_table(file: Path, layout: Layout, columns: dict[str, int], width: int) -> pa.Table:
    names = [f"column {index}" for index in range(width)]
    for name, index in columns.items():
        names[index] = name
    encoding = layout.encoding.removesuffix("-sig")
    with pa.input_stream(str(file), compression="detect") as stream:
        source, separator = stream, layout.separator
        if len(separator) > 1:  # pyarrow accepts one character, MovieLens separates by two
            content = stream.read().replace(separator.encode(encoding), "\t".encode(encoding))
            source, separator = io.BytesIO(content), "\t"
        types = {name: pa.float64() if name == "rating" else pa.string() for name in columns}
        return pa_csv.read_csv(
            source,
            read_options=pa_csv.ReadOptions(
                column_names=names, skip_rows=0 if layout.names else 1, block_size=1 << 24, encoding=encoding
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=separator, quote_char='"' if layout.quotes else False
            ),
            convert_options=pa_csv.ConvertOptions(column_types=types, include_columns=list(columns)),
        )


def _ids_of(column: pa.ChunkedArray) -> list[str]:
    return _by_distinct(column, lambda text: cell_id(_unquoted(text), "id", ""))


def _times_of(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return times as numbers in their units, (n,)."""
    try:
        numbers: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return np.array(_by_distinct(column, lambda text: check_timestamp(_unquoted(text), "")), np.float64)
    if not np.isfinite(numbers).all():
        raise RatingsError("a time is not finite")
    return numbers


def _by_distinct(column: pa.ChunkedArray, convert: Callable[[str], Any]) -> list[Any]:
    """Convert each distinct value once, and return the converted value of each row."""
    encoded = column.combine_chunks().dictionary_encode()
    converted = [convert(text) for text in encoded.dictionary.to_pylist()]
    return [converted[code] for code in encoded.indices.to_pylist()]


def _unquoted(text: str) -> str:
    """Return a cell; a quote after a blank, which pyarrow takes for text, is left to the reader by line."""
    if text[:1] in BLANKS and text.lstrip(BLANKS).startswith('"'):
        raise RatingsError("a quote after a blank")
    return text


def _cells(file: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the values of each line below the header; empty lines are skipped."""
    lines = raw_cells(file, layout)
    if layout.names is None:
        next(lines, None)
    return ((number, values) for number, values in lines if values)
