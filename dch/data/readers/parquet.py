"""Read Parquet files of ratings, as data frame libraries write them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dch.data.readers.arrow_columns import convert_columns
from dch.data.readers.column_names import find_columns, notes_on_unused
from dch.data.readers.rating_columns import RatingColumns, finish
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
    found = convert_columns(columns, lambda row: _row_position(file, row))
    notes = notes_on_unused(names, first, indexes, options)
    return finish(found, file, lambda row: _row_position(file, row), notes)


def _row_position(file: Path, row: int) -> str:
    return f"{file}: row {row + 1}"
