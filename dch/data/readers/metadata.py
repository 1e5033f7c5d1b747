"""Read the feature records of users and items from the files beside the ratings.

For each side, the first of these files that exists is read:

| side | files |
|---|---|
| items | ``items.jsonl``, MovieLens ``u.item``, ``movies.dat``, ``movies.csv``, RecBole ``<name>.item`` |
| users | ``users.jsonl``, MovieLens ``u.user``, ``users.dat``, RecBole ``<name>.user`` |

The display name of an item is always stored under ``title``.
"""

from collections.abc import Callable
from pathlib import Path

from dch.data.features import Features
from dch.data.readers.jsonlines import read_objects
from dch.data.readers.movielens import (
    read_movies_csv,
    read_movies_dat,
    read_u_item,
    read_u_user,
    read_users_dat,
)
from dch.data.readers.rating_columns import check_id
from dch.data.readers.recbole import read_atomic
from dch.errors import RatingsError

Records = dict[str, Features]
"""Feature record by id."""


def read_metadata(ratings_file: Path) -> tuple[Records, Records]:
    """Return the feature records of users and of items; empty for a side without a metadata file.

    Raises:
        RatingsError: a line cannot be read; names the metadata file, the line and the value found.
    """
    folder, stem = ratings_file.parent, Path(ratings_file.name.removesuffix(".gz")).stem
    users: dict[str, Callable[[Path], Records]] = {
        f"{stem}.user": read_atomic,  # for u.data this is u.user, which the entry below replaces
        "users.jsonl": lambda file: read_records(file, "user"),
        "users.jsonl.gz": lambda file: read_records(file, "user"),
        "u.user": read_u_user,
        "users.dat": read_users_dat,
    }
    items: dict[str, Callable[[Path], Records]] = {
        f"{stem}.item": read_atomic,
        "items.jsonl": lambda file: read_records(file, "item"),
        "items.jsonl.gz": lambda file: read_records(file, "item"),
        "u.item": read_u_item,
        "movies.dat": read_movies_dat,
        "movies.csv": read_movies_csv,
    }
    return _first(folder, users), _first(folder, items)


def read_records(file: Path, key: str) -> Records:
    """Read JSON lines such as ``{"item": id, "title": ..., ...}`` into feature records by id.

    Args:
        file: the file.
        key: the key of the id, ``item`` or ``user``.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    records: Records = {}
    for position, fields in read_objects(file):
        if key not in fields:
            raise RatingsError(f"{position}: {key}: expected an id, but the key is missing")
        records[check_id(fields.pop(key), key, position)] = fields
    return records


def _first(folder: Path, readers: dict[str, Callable[[Path], Records]]) -> Records:
    for name, read in readers.items():
        if (folder / name).is_file():
            return read(folder / name)
    return {}
