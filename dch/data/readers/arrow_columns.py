"""Turn columns of pyarrow into columns of ratings, for the readers of CSV, JSON lines and Parquet.

Values that need a look, such as ids and texts of times, are converted once for each distinct value.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dch.data.events import LARGEST_RATING
from dch.data.readers.rating_columns import FoundColumns, check_id, check_rating, check_timestamp
from dch.errors import RatingsError

PositionOf = Callable[[int], str]
"""Returns the position of a row, for messages."""

IdCheck = Callable[[Any, str, str], str]
"""Returns the id in a value of a column at a position, or raises ``RatingsError``."""


def convert_columns(
    columns: Mapping[str, pa.ChunkedArray], position_of: PositionOf, id_check: IdCheck = check_id
) -> FoundColumns:
    """Convert the columns user, item and, if there are any, rating and timestamp.

    A null rating withdraws, a null time is no time.

    Raises:
        RatingsError: a value is no id, rating or time; names its position.
    """
    users, items = (
        _by_distinct(columns[name], partial(_id_in, name, id_check), position_of).tolist()
        for name in ("user", "item")
    )
    return FoundColumns(
        users,
        items,
        _ratings(columns["rating"], position_of) if "rating" in columns else None,
        _times(columns["timestamp"], position_of) if "timestamp" in columns else None,
    )


def _id_in(column: str, id_check: IdCheck, value: object, position: str) -> str:
    return id_check(value, column, position)


def _ratings(column: pa.ChunkedArray, position_of: PositionOf) -> NDArray[np.float64]:
    is_null = column.is_null().to_numpy()
    ratings = _as_numbers(column)
    if ratings is None or not (is_null | (np.abs(ratings) <= LARGEST_RATING)).all():
        ratings = _by_distinct(column, _rating_or_nan, position_of).astype(np.float64)
    return np.where(is_null, np.nan, ratings)


def _rating_or_nan(value: object, position: str) -> float:
    return np.nan if value is None else check_rating(value, position)


def _times(column: pa.ChunkedArray, position_of: PositionOf) -> NDArray[np.float64]:
    """Return times as numbers in their units, 0 for no time, (n,)."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms", getattr(column.type, "tz", None)), safe=False)
        column = column.cast(pa.int64())
    times = _as_numbers(column)
    if times is None or not (column.is_null().to_numpy() | np.isfinite(times)).all():
        times = _by_distinct(column, check_timestamp, position_of).astype(np.float64)
    return np.where(np.isnan(times), 0.0, times)


def _as_numbers(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """Return a column as numbers, with NaN for null; None if not all its values are numbers."""
    try:
        numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return numbers


def _by_distinct(
    column: pa.ChunkedArray, convert: Callable[[Any, str], Any], position_of: PositionOf
) -> NDArray[np.object_]:
    """Convert each distinct value once, at the position of its first row; return those of all rows, (n,)."""
    values, codes = _distinct(column)
    converted = np.empty(len(values), object)
    for code, value in enumerate(values):
        try:
            converted[code] = convert(value, "")
        except RatingsError:
            first = int((codes == code).argmax())
            convert(value, position_of(first))
            raise
    found: NDArray[np.object_] = converted[codes]
    return found


def _distinct(column: pa.ChunkedArray) -> tuple[list[Any], NDArray[np.integer]]:
    """Return the distinct values in the order of their first rows, and the position of each row's value."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)  # it may hold values that no row has
    try:
        encoded = column.dictionary_encode(null_encoding="encode").combine_chunks()
    except pa.ArrowNotImplementedError:  # nested values
        values = column.to_pylist()
        return values, np.arange(len(values))
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
