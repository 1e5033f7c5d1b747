"""Read Parquet files of ratings, as data frame libraries write them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

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
from dch.errors import RatingsError


def read_parquet(file: Path) -> RatingColumns:
    """Read a file; a null rating withdraws.

    Raises:
        RatingsError: a value cannot be read; names the file, the row (from 1) and the value found.
    """
    try:
        names = pq.read_schema(file).names
        columns = find_columns(names, str(file))
        table = pq.read_table(file, columns=[names[index] for index in columns.values()])
    except (pa.ArrowInvalid, OSError) as error:
        raise RatingsError(f"{file}: cannot be read as Parquet: {error}") from error
    users, items, ratings, *times = (table[names[index]] for index in columns.values())
    return RatingColumns(
        _ids(users, "user", file),
        _ids(items, "item", file),
        _ratings(ratings, file),
        _timestamps(times[0], file) if times else None,
    )


def _ids(column: pa.ChunkedArray, name: str, file: Path) -> list[str]:
    values: list[str] = column.to_pylist()
    if all(type(value) is str and value for value in values):
        return values
    return [check_id(value, name, _row_position(file, row)) for row, value in enumerate(values)]


def _ratings(column: pa.ChunkedArray, file: Path) -> NDArray[np.float32]:
    withdrawn = column.is_null().to_numpy()
    ratings = _numbers(column, file, check_rating)
    _check_first(check_rating, ~withdrawn & ~(np.abs(ratings) <= LARGEST_RATING), column, file)
    return ratings.astype(np.float32)


def _timestamps(column: pa.ChunkedArray, file: Path) -> NDArray[np.int64]:
    if is_typed := pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64())
    times = _numbers(column, file, check_timestamp)
    _check_first(check_timestamp, ~(np.abs(times) < LATEST_MS), column, file)
    return times.astype(np.int64) if is_typed else to_milliseconds(times)


def _numbers(
    column: pa.ChunkedArray, file: Path, check: Callable[[object, str], float]
) -> NDArray[np.float64]:
    """Return a column as numbers, NaN for null."""
    try:
        numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = enumerate(column.to_pylist())
        numbers = np.array(
            [np.nan if value is None else check(value, _row_position(file, row)) for row, value in values]
        )
    return numbers


def _check_first(
    check: Callable[[object, str], float], is_bad: NDArray[np.bool_], column: pa.ChunkedArray, file: Path
) -> None:
    if is_bad.any():
        row = int(is_bad.argmax())
        check(column[row].as_py(), _row_position(file, row))


def _row_position(file: Path, row: int) -> str:
    return f"{file}: row {row + 1}"
