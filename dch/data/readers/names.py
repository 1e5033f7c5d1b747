"""What file names and column names mean."""

from collections.abc import Sequence
from pathlib import Path

from dch.errors import RatingsError

KNOWN = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".data", ".dat", ".inter")
"""Suffixes of files of ratings, each also with .gz but for .parquet."""

METADATA = frozenset(
    {"items", "users", "movies", "links", "tags", "genome-scores", "genome-tags", "recommendations"}
)
"""Stems of files that lie beside ratings and hold none."""

ALIASES = {
    "user": ("user", "userid", "uid", "reviewerid"),
    "item": ("item", "itemid", "iid", "movieid", "productid", "businessid", "bookid", "asin"),
    "rating": ("rating", "ratings", "stars", "overall", "score"),
    "timestamp": ("timestamp", "time", "unixreviewtime", "ts"),
}
"""Accepted names of a column in lower case, underscores left out; the first that is found counts."""


def suffix(file: Path) -> str:
    """Return the suffix that tells the format, in lower case, without a final .gz."""
    name = file.name.lower().removesuffix(".gz")
    return Path(name).suffix


def find_ratings_file(path: Path) -> Path:
    """Return the file of ratings that a path means.

    Raises:
        RatingsError: there is none, there are several, or its format is not known.
    """
    if path.is_dir():
        return _only_one(path)
    if not path.exists():
        raise RatingsError(f"{path}: no such file or folder")
    if suffix(path) not in KNOWN or path.name.lower().endswith(".parquet.gz"):
        raise RatingsError(f"{path}: format not known by its name; known are {_known()}")
    return path


def find_columns(names: Sequence[str], place: str) -> dict[str, int]:
    """Return the position of user, item, rating and, where there is one, timestamp.

    Raises:
        RatingsError: a column is missing; the place is named.
    """
    plain = [name.strip().lower().replace("_", "") for name in names]
    found = {}
    for column, aliases in ALIASES.items():
        positions = [plain.index(alias) for alias in aliases if alias in plain]
        if positions:
            found[column] = positions[0]
        elif column != "timestamp":
            raise RatingsError(
                f"{place}: no column for the {column}, found {', '.join(names)!r}; "
                f"name it {' or '.join(map(repr, aliases[:2]))}"
            )
    return found


def _only_one(folder: Path) -> Path:
    files = sorted(file for file in folder.iterdir() if suffix(file) in KNOWN)
    files = [file for file in files if _stem(file) not in METADATA]
    if len(files) > 1:
        files = [file for file in files if _stem(file) == "ratings"] or files
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise RatingsError(
            f"{folder}: expected one file of ratings, found {found}; name the file, known are {_known()}"
        )
    return files[0]


def _stem(file: Path) -> str:
    return Path(file.name.lower().removesuffix(".gz")).stem


def _known() -> str:
    return ", ".join(f"*{known}" for known in KNOWN) + " (the text formats also with .gz)"
