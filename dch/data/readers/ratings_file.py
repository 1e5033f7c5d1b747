"""Find the file of ratings at a path, which may be a folder; its suffix determines the format."""

from pathlib import Path

from dch.errors import RatingsError

FORMATS = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json", ".data", ".dat", ".inter", ".txt")
"""Suffixes of rating files; all but .parquet may be followed by .gz."""

NAMED_ONLY = (".txt",)
"""Suffixes that folders use for other texts too: such a file is taken only if it is named itself."""

METADATA = frozenset(
    {"items", "users", "movies", "links", "tags", "genome-scores", "genome-tags", "recommendations"}
    | {"item", "user", "books", "artists", "products", "meta", "metadata", "package", "schema"}
)
"""Names, without suffix, of files that are often in the same folder but contain no ratings."""


def format_suffix(file: Path) -> str:
    """Return the suffix that determines the format, in lower case, without a final .gz."""
    name = file.name.lower().removesuffix(".gz")
    return Path(name).suffix


def find_ratings_file(path: Path) -> Path:
    """Return the file of ratings: the path itself, or the one file of ratings in a folder.

    In a folder with several files of ratings, the one called ``ratings`` is taken.

    Raises:
        RatingsError: there is no such file, there are several, or the format is unknown.
    """
    if path.is_dir():
        return _only_file(path)
    if not path.exists():
        raise RatingsError(f"{path}: no such file or folder")
    if format_suffix(path) not in FORMATS or path.name.lower().endswith(".parquet.gz"):
        raise RatingsError(f"{path}: unknown file format; known are {_formats()}")
    return path


def _only_file(folder: Path) -> Path:
    suffixes = [suffix for suffix in FORMATS if suffix not in NAMED_ONLY]
    files = sorted(file for file in folder.iterdir() if format_suffix(file) in suffixes)
    files = [file for file in files if _stem(file) not in METADATA]
    if len(files) > 1:
        files = [file for file in files if _stem(file) == "ratings"] or files
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise RatingsError(
            f"{folder}: expected one file of ratings, found {found}; "
            f"give the path of a file, known formats are {_formats()}"
        )
    return files[0]


def _stem(file: Path) -> str:
    return Path(file.name.lower().removesuffix(".gz")).stem


def _formats() -> str:
    return ", ".join(f"*{suffix}" for suffix in FORMATS) + " (the text formats also with .gz)"
