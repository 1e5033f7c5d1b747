"""Read the feature records of users and items from the files beside the ratings.

For each side, the first of these files that exists is read:

| side | files |
|---|---|
| items | RecBole ``<name>.item``, ``items.jsonl``, MovieLens ``u.item``, ``movies.dat``, ``movies.csv``, and ``items.csv``, ``items.tsv``, ``items.json`` |
| users | RecBole ``<name>.user``, ``users.jsonl``, MovieLens ``u.user``, ``users.dat``, and ``users.csv``, ``users.tsv``, ``users.json`` |

JSON lines, ``.json``, ``.csv`` and ``.tsv`` may be gzipped. A table has a header, in any order of columns. A
file that looks like metadata and is not read is named once in the log. The display name of an item is
stored under ``title``.
"""  # noqa: E501 - a table

import logging
from collections.abc import Callable
from pathlib import Path

from dch.data.features import Features
from dch.data.readers.column_names import id_column
from dch.data.readers.feature_table import NoIdColumnError, read_feature_table
from dch.data.readers.jsonlines import read_objects
from dch.data.readers.layout import has_known_header
from dch.data.readers.movielens import read_movies_dat, read_u_item, read_u_user, read_users_dat
from dch.data.readers.rating_columns import check_id
from dch.data.readers.ratings_file import format_suffix
from dch.data.readers.recbole import read_atomic
from dch.data.readers.text_lines import UTF_8
from dch.errors import RatingsError

Records = dict[str, Features]
"""Feature record by id."""

Reader = Callable[[Path], Records]

LOOKS_LIKE = {
    "item": frozenset(
        {"items", "item", "movies", "books", "products", "artists", "songs", "tracks", "games"}
        | {"meta", "metadata"}
    ),
    "user": frozenset({"users", "user", "customers", "members"}),
}
"""Names, without suffix, of files that look like metadata of one side."""

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".dat", ".parquet", ".xlsx")
"""Suffixes of files that look like metadata."""

_log = logging.getLogger(__name__)


def read_metadata(ratings_file: Path, encoding: str = UTF_8) -> tuple[Records, Records]:
    """Return the feature records of users and of items; empty for a side without a metadata file.

    Args:
        ratings_file: the file of ratings.
        encoding: encoding of tables and JSON lines.

    Raises:
        RatingsError: a line cannot be read; names the metadata file, the line and the value found.
    """
    stem = Path(ratings_file.name.removesuffix(".gz")).stem

    def lines(side: str) -> Reader:
        return lambda file: read_records(file, side, encoding)

    def table(side: str) -> Reader:
        return lambda file: read_feature_table(file, side, encoding)

    users: dict[str, Reader] = {
        f"{stem}.user": read_atomic,  # for u.data this is u.user, which the entry below replaces
        **_plain_or_gzipped({"users.jsonl": lines("user")}),
        "u.user": read_u_user,
        "users.dat": read_users_dat,
        **_plain_or_gzipped(
            {"users.json": lines("user"), "users.csv": table("user"), "users.tsv": table("user")}
        ),
    }
    items: dict[str, Reader] = {
        f"{stem}.item": read_atomic,
        **_plain_or_gzipped({"items.jsonl": lines("item")}),
        "u.item": read_u_item,
        "movies.dat": read_movies_dat,
        **_plain_or_gzipped({"movies.csv": table("item")}),
        **_plain_or_gzipped(
            {"items.json": lines("item"), "items.csv": table("item"), "items.tsv": table("item")}
        ),
    }
    return _first(ratings_file, "user", users), _first(ratings_file, "item", items)


def read_records(file: Path, key: str, encoding: str = UTF_8) -> Records:
    """Read JSON lines such as ``{"item": id, "title": ..., ...}`` into feature records by id.

    Args:
        file: the file.
        key: the key of the id, ``item`` or ``user``; without it, another usual name of such a column.
        encoding: encoding of the text.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    records: Records = {}
    for position, fields in read_objects(file, encoding):
        named = key if key in fields else id_column(list(fields), key)
        if named is None:
            is_ours = bool(records) or format_suffix(file) != ".json"
            kind = RatingsError if is_ours else NoIdColumnError
            raise kind(f"{position}: {key}: expected an id, but the key is missing")
        id_ = check_id(fields.pop(named), key, position)
        if not id_:
            raise RatingsError(f"{position}: {key}: expected an id, but it is empty")
        records[id_] = fields
    return records


def _plain_or_gzipped(readers: dict[str, Reader]) -> dict[str, Reader]:
    return {name + ending: read for name, read in readers.items() for ending in ("", ".gz")}


def _first(ratings_file: Path, side: str, readers: dict[str, Reader]) -> Records:
    """Read the first file that exists and has ids; name files that look like metadata and are not used."""
    folder = ratings_file.parent
    seen = {ratings_file.name}
    records, reason = None, f"its name is none of {', '.join(name for name in readers if '.gz' not in name)}"
    for name in filter(lambda name: (folder / name).is_file(), readers):
        seen.add(name)
        try:
            records, reason = readers[name](folder / name), f"{name} is"
            break
        except NoIdColumnError as error:
            _log.warning("%s; the file is not used", error)
    for file in sorted(folder.iterdir()):
        if file.name not in seen and _looks_like_metadata(file, side):
            _log.warning("%s: looks like metadata of %ss and is not used, because %s", file, side, reason)
    return records or {}


def _looks_like_metadata(file: Path, side: str) -> bool:
    stem, _, suffix = file.name.lower().removesuffix(".gz").partition(".")
    return stem in LOOKS_LIKE[side] and f".{suffix}" in SUFFIXES and not _holds_ratings(file)


def _holds_ratings(file: Path) -> bool:
    """Return whether the header of a table has users and items: ``books.csv`` may hold ratings, too."""
    if format_suffix(file) not in (".csv", ".tsv"):
        return False
    try:
        return has_known_header(file)
    except RatingsError:  # not text, or not UTF-8
        return False
