"""RecBole atomic files of users and items: tabs, and a header that says the type of each column.

Source:
    The "Atomic Files" page of RecBole's documentation.
"""

from pathlib import Path

from dch.data.features import Features
from dch.data.readers.lines import read_lines
from dch.errors import RatingsError

NAMES = {"movie_title": "title", "class": "genres", "release_year": "year", "zip_code": "zip"}
"""What RecBole's own data sets call our names."""


def read_atomic(file: Path) -> dict[str, Features]:
    """Read a ``.item`` or ``.user`` file; the first column is the id, empty values give no feature.

    Raises:
        RatingsError: naming the file, the line and what was found there.
    """
    header: list[tuple[str, str]] = []
    records: dict[str, Features] = {}
    for number, line in read_lines(file):
        values = line.rstrip("\r\n").split("\t")
        if not header:
            header = [_column(name) for name in values]
            continue
        if len(values) != len(header):
            raise RatingsError(f"{file}:{number}: expected {len(header)} columns, found {len(values)}")
        cells = zip(header[1:], values[1:], strict=True)
        where = f"{file}:{number}"
        records[values[0]] = {name: _value(name, kind, text, where) for (name, kind), text in cells if text}
    return records


def _column(header: str) -> tuple[str, str]:
    name, _, kind = header.partition(":")
    return NAMES.get(name, name), kind


def _value(name: str, kind: str, text: str, where: str) -> object:
    if kind == "token_seq" and name not in ("title", "name"):  # titles are sequences of words to RecBole
        return text.split(" ")
    if kind not in ("float", "float_seq"):
        return text
    try:
        numbers = [float(number) for number in text.split(" ")]
    except ValueError as error:
        raise RatingsError(f"{where}: {name}: expected a number, got {text!r}") from error
    return numbers if kind == "float_seq" else numbers[0]
