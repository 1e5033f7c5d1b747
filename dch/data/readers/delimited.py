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

from dch.data.readers.arrow_columns import convert_columns
from dch.data.readers.column_names import find_columns, notes_on_unused
from dch.data.readers.layout import Layout, fit_layout, raw_cells
from dch.data.readers.rating_columns import (
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
        if (header := next(lines, None)) is None:
            raise RatingsError(f"{file}: the file is empty")
        names = [name.partition(":")[0] for name in header[1]]
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
        if "rating" in columns and table["rating"].null_count:
            return None
        found = convert_columns({name: table[name] for name in columns}, str, _id_of)
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


_LAST = "the last line"
"""User of a line that is added to a file: if it is not found, a quote before it is not closed."""

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
        content = stream.read()
    separator = layout.separator
    if len(separator) > 1:  # pyarrow accepts one character, MovieLens separates by two
        content, separator = content.replace(separator.encode(encoding), "\t".encode(encoding)), "\t"
    last_line = separator.join(_LAST if name == "user" else "0" for name in names)
    types = {name: pa.float64() if name == "rating" else pa.string() for name in columns}
    table = pa_csv.read_csv(
        io.BytesIO(content + f"\n{last_line}\n".encode(encoding)),
        read_options=pa_csv.ReadOptions(
            column_names=names, skip_rows=0 if layout.names else 1, block_size=1 << 24, encoding=encoding
        ),
        parse_options=pa_csv.ParseOptions(delimiter=separator, quote_char='"' if layout.quotes else False),
        convert_options=pa_csv.ConvertOptions(column_types=types, include_columns=list(columns)),
    )
    if table["user"][-1].as_py() != _LAST:
        raise pa.ArrowInvalid("a quote is not closed")
    return table[:-1]


def _id_of(text: str, column: str, position: str) -> str:
    """Return the id in a cell; one that pyarrow may have split is left to the reader by line."""
    if text.startswith(" ") and text.lstrip(" ").startswith('"'):
        raise RatingsError("a quote after a blank, which pyarrow takes for text")
    return cell_id(text, column, position)


def _cells(file: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the values of each line below the header; empty lines are skipped."""
    lines = raw_cells(file, layout)
    if layout.names is None:
        next(lines, None)
    return ((number, values) for number, values in lines if values)
