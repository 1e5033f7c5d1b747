"""Read files of ratings and the metadata files beside them.

The suffix of the file name, before a final ``.gz``, determines the format:

| name | format | columns |
|---|---|---|
| ``*.csv``, ``*.tsv`` | a header, then one rating per line | user, item, optional rating and timestamp |
| ``*.parquet`` | Parquet | the same; a null rating withdraws |
| ``*.jsonl``, ``*.ndjson``, ``*.json`` | JSON lines | the same; a null rating withdraws |
| ``*.data`` | MovieLens 100K: tabs, no header | user, item, rating, timestamp |
| ``*.dat`` | MovieLens 1M and 10M: ``::``, no header | user, item, rating, timestamp |
| ``*.inter`` | RecBole atomic file: tabs, typed header | user_id, item_id, optional rating and timestamp |
| ``*.txt`` | a user and all items of that user per line, separated by spaces (LightGCN) | none |

Columns have their usual names (``dch.data.readers.column_names``), or those that ``ReadOptions`` gives. Other
columns are ignored. The separator of a text file is found in its first line. Without a rating, each line
counts 1. Times are in any unit, value by value, or ISO texts (``dch.data.times``); a column of small numbers
is an order. The latest rating of each pair wins; in a file without times, the last one in the file. What is
left out or not used is named once in the log.
"""

from os import PathLike
from pathlib import Path
from typing import NamedTuple

from dch.data.features import Features
from dch.data.readers.delimited import Layout, read_delimited
from dch.data.readers.item_lists import read_item_lists
from dch.data.readers.jsonlines import read_jsonlines
from dch.data.readers.metadata import read_metadata
from dch.data.readers.parquet import read_parquet
from dch.data.readers.rating_columns import RatingColumns
from dch.data.readers.ratings_file import find_ratings_file, format_suffix
from dch.data.readers.read_options import ReadOptions
from dch.errors import ConfigError

__all__ = ["RatingFile", "ReadOptions", "read_file"]

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


def read_file(path: str | PathLike[str], options: ReadOptions | None = None) -> RatingFile:
    """Read a file of ratings and the metadata files beside it.

    Args:
        path: a file of a known format, or a folder with one such file.
        options: what the caller says of the file of ratings.

    Raises:
        RatingsError: a file cannot be read; names the file, the line and the value found.
    """
    file, options = find_ratings_file(Path(path)), options or ReadOptions()
    return RatingFile(_read_columns(file, options), *read_metadata(file, options.text_encoding))


def _read_columns(file: Path, options: ReadOptions) -> RatingColumns:
    suffix = format_suffix(file)
    if suffix in _LAYOUTS:
        return read_delimited(file, _LAYOUTS[suffix], options)
    if options.delimiter is not None or not options.header:
        raise ConfigError(f"{file}: delimiter and header are for text files with columns, not for *{suffix}")
    readers = {".parquet": read_parquet, ".txt": read_item_lists}
    return readers.get(suffix, read_jsonlines)(file, options)
