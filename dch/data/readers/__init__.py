"""Read files of ratings and the metadata files beside them.

The suffix of the file name, before a final ``.gz``, determines the format:

| name | format | columns |
|---|---|---|
| ``*.csv``, ``*.tsv`` | a header, then one rating per line | user, item, rating, optional timestamp |
| ``*.parquet`` | Parquet | the same; a null rating withdraws |
| ``*.jsonl``, ``*.ndjson`` | JSON lines | user, item, rating (null withdraws), optional timestamp |
| ``*.data`` | MovieLens 100K: tabs, no header | user, item, rating, timestamp |
| ``*.dat`` | MovieLens 1M and 10M: ``::``, no header | user, item, rating, timestamp |
| ``*.inter`` | RecBole atomic file: tabs, typed header | user_id, item_id, rating, optional timestamp |

Other columns are ignored. Timestamps become milliseconds: a column whose largest value is below 1e11 is read
as seconds. The latest rating of each pair wins; in a file without times, the last one in the file.
"""

from os import PathLike
from pathlib import Path
from typing import NamedTuple

from dch.data.features import Features
from dch.data.readers.delimited import Layout, read_delimited
from dch.data.readers.jsonlines import read_jsonlines
from dch.data.readers.metadata import read_metadata
from dch.data.readers.parquet import read_parquet
from dch.data.readers.rating_columns import RatingColumns
from dch.data.readers.ratings_file import find_ratings_file, format_suffix

__all__ = ["RatingFile", "read_file"]

_LAYOUTS = {
    ".csv": Layout(",", quotes=True),
    ".tsv": Layout("\t", quotes=True),
    ".data": Layout("\t", names=("user", "item", "rating", "timestamp")),
    ".dat": Layout("::", names=("user", "item", "rating", "timestamp")),
    ".inter": Layout("\t"),
}


class RatingFile(NamedTuple):
    """The rating events of one file and the feature records from the files beside it."""

    columns: RatingColumns
    user_features: dict[str, Features]
    item_features: dict[str, Features]


def read_file(path: str | PathLike[str]) -> RatingFile:
    """Read a file of ratings and the metadata files beside it.

    Args:
        path: a file of a known format, or a folder with one such file.

    Raises:
        RatingsError: a file cannot be read; names the file, the line and the value found.
    """
    file = find_ratings_file(Path(path))
    return RatingFile(_read_columns(file), *read_metadata(file))


def _read_columns(file: Path) -> RatingColumns:
    suffix = format_suffix(file)
    if suffix == ".parquet":
        return read_parquet(file)
    if suffix in (".jsonl", ".ndjson"):
        return read_jsonlines(file)
    return read_delimited(file, _LAYOUTS[suffix])
