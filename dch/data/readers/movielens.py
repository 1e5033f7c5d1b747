"""Read the metadata files of MovieLens, as GroupLens publishes them.

Source:
    The README files of MovieLens 100K (u.item, u.user) and 1M (movies.dat, users.dat).
"""

from collections.abc import Iterator
from pathlib import Path

from dch.data.features import Features
from dch.data.readers.text_lines import line_position, read_lines
from dch.errors import RatingsError

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The last 19 columns of u.item, in order."""


def read_u_item(file: Path) -> dict[str, Features]:
    """Read ``id|title|release date|video date|url|19 genre flags``, Latin-1."""
    records: dict[str, Features] = {}
    for item, title, released, _, _, *flags in _cells(file, "|", 5 + len(GENRES), "latin-1"):
        genres = [genre for genre, flag in zip(GENRES, flags, strict=True) if flag == "1"]
        records[item] = {"title": title, "genres": genres}
        if released:
            records[item] = {"title": title, "year": released[-4:], "genres": genres}
    return records


def read_u_user(file: Path) -> dict[str, Features]:
    """Read ``id|age|gender|occupation|zip``."""
    return {
        user: {"age": age, "gender": gender, "occupation": occupation, "zip": zip_code}
        for user, age, gender, occupation, zip_code in _cells(file, "|", 5)
    }


def read_movies_dat(file: Path) -> dict[str, Features]:
    """Read ``id::title::genre|genre``, Latin-1."""
    return {
        item: {"title": title, "genres": genres.split("|")}
        for item, title, genres in _cells(file, "::", 3, "latin-1")
    }


def read_users_dat(file: Path) -> dict[str, Features]:
    """Read ``id::gender::age::occupation::zip``; age and occupation are codes of groups."""
    return {
        user: {"age": age, "gender": gender, "occupation": occupation, "zip": zip_code}
        for user, gender, age, occupation, zip_code in _cells(file, "::", 5)
    }


def _cells(file: Path, separator: str, n: int, encoding: str = "utf-8-sig") -> Iterator[list[str]]:
    for number, line in read_lines(file, encoding):
        values = line.rstrip("\r\n").split(separator)
        if len(values) == n:
            yield values
        elif line.strip():
            raise RatingsError(f"{line_position(file, number)}: expected {n} columns, found {len(values)}")
