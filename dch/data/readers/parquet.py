"""Read Parquet files of ratings, as data frame libraries write them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dch.data.events import LARGEST_RATING
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
from dch.errors import RatingsError


def read_parquet(file: Path, options: ReadOptions | None = None) -> RatingColumns:
    """Read a file; a null rating withdraws, a null time is no time.

    Raises:
        RatingsError: a value cannot be read; names the file, the row (from 1) and the value found.
    """
    options = options or ReadOptions()
    try:
        names = pq.read_schema(file).names
        indexes = find_columns(names, str(file), options)
        table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise RatingsError(f"{file}: cannot be read as Parquet: {error}") from error
    first = [table.column(index)[0].as_py() if len(table) else None for index in range(len(names))]
    columns = {name: table.column(index) for name, index in indexes.items()}
    found = FoundColumns(
        _ids(columns["user"], "user", file),
        _ids(columns["item"], "item", file),
        _ratings(columns["rating"], file) if "rating" in columns else None,
        _times(columns["timestamp"], file) if "timestamp" in columns else None,
    )
    notes = notes_on_unused(names, first, indexes, options)
    return finish(found, file, lambda row: _row_position(file, row), notes)


def _ids(column: pa.ChunkedArray, name: str, file: Path) -> list[str]:
    return [check_id(value, name, _row_position(file, row)) for row, value in enumerate(column.to_pylist())]


def _ratings(column: pa.ChunkedArray, file: Path) -> NDArray[np.float64]:
    withdrawn = column.is_null().to_numpy()
    ratings = _numbers(column, file, check_rating, np.nan)
    is_bad = ~withdrawn & ~(np.abs(ratings) <= LARGEST_RATING)
    if is_bad.any():
        row = int(is_bad.argmax())
        check_rating(column[row].as_py(), _row_position(file, row))
    return ratings


def _times(column: pa.ChunkedArray, file: Path) -> NDArray[np.float64]:
    """Return times as numbers in their units, 0 for no time, (n,)."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms", getattr(column.type, "tz", None)), safe=False)
        column = column.cast(pa.int64())
    times = _numbers(column, file, check_timestamp, 0.0)
    return np.where(np.isnan(times), 0.0, times)


def _numbers(
    column: pa.ChunkedArray, file: Path, check: Callable[[object, str], float], null: float
) -> NDArray[np.float64]:
    """Return a column as numbers, with a number for null."""
    try:
        numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).fill_null(null).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = enumerate(column.to_pylist())
        numbers = np.array(
            [null if value is None else check(value, _row_position(file, row)) for row, value in values],
            np.float64,
        )
    return numbers


def _row_position(file: Path, row: int) -> str:
    return f"{file}: row {row + 1}"
