"""Read files of ratings and the metadata beside them.

The format is told by the file's name, before a final ``.gz`` if there is one:

| name | format | columns |
|---|---|---|
| ``*.csv``, ``*.tsv`` | a header, then one rating a line | user, item, rating, maybe timestamp |
| ``*.parquet`` | Parquet | the same |
| ``*.jsonl``, ``*.ndjson`` | one JSON object a line | user, item, rating (null withdraws), maybe timestamp |
| ``*.data`` | MovieLens 100K: tabs, no header | user, item, rating, timestamp |
| ``*.dat`` | MovieLens 1M and 10M: ``::``, no header | the same |
| ``*.inter`` | RecBole atomic file: tabs, typed header | user_id, item_id, rating, maybe timestamp |

Further columns are ignored. Timestamps become milliseconds: a column whose largest value is below 1e11 is
taken for seconds. The latest rating of each pair wins; where there is no time, the last in the file.
"""

from os import PathLike
from pathlib import Path
from typing import NamedTuple

from dch.data.features import Features
from dch.data.readers.columns import RatingColumns
from dch.data.readers.delimited import Layout, read_delimited
from dch.data.readers.jsonlines import read_jsonlines
from dch.data.readers.metadata import read_metadata
from dch.data.readers.names import find_ratings_file, suffix
from dch.data.readers.parquet import read_parquet

__all__ = ["RatingFile", "read_file"]

_LAYOUTS = {
    ".csv": Layout(",", quotes=True),
    ".tsv": Layout("\t", quotes=True),
    ".data": Layout("\t", names=("user", "item", "rating", "timestamp")),
    ".dat": Layout("::", names=("user", "item", "rating", "timestamp")),
    ".inter": Layout("\t"),
}


class RatingFile(NamedTuple):
    """The rating events of one file and the features beside it, as ``Ratings.from_events`` takes them."""

    columns: RatingColumns
    user_features: dict[str, Features]
    item_features: dict[str, Features]


def read_file(path: str | PathLike[str]) -> RatingFile:
    """Read a file of ratings, or the one in a folder, with the metadata beside it.

    Args:
        path: a file of a known format, or a folder that holds one.

    Raises:
        RatingsError: naming the file, the line and what was found there.
    """
    file = find_ratings_file(Path(path))
    return RatingFile(_read_columns(file), *read_metadata(file))


def _read_columns(file: Path) -> RatingColumns:
    kind = suffix(file)
    if kind == ".parquet":
        return read_parquet(file)
    if kind in (".jsonl", ".ndjson"):
        return read_jsonlines(file)
    return read_delimited(file, _LAYOUTS[kind])
