"""Read RecBole atomic files of users and items: tab-separated, with a header that types each column.

Source:
    The "Atomic Files" page of RecBole's documentation.
"""

from pathlib import Path

from dch.data.features import Features
from dch.data.readers.text_lines import line_position, read_lines
from dch.errors import RatingsError

NAMES = {"movie_title": "title", "class": "genres", "release_year": "year", "zip_code": "zip"}
"""Our name of a feature by its name in RecBole's data sets."""


def read_atomic(file: Path) -> dict[str, Features]:
    """Read a ``.item`` or ``.user`` file; the first column is the id, empty values give no feature.

    Raises:
        RatingsError: a line cannot be read; names the file, the line and the value found.
    """
    header: list[tuple[str, str]] = []
    records: dict[str, Features] = {}
    for number, line in read_lines(file):
        values = line.rstrip("\r\n").split("\t")
        if not header:
            header = [_column(name) for name in values]
            continue
        position = line_position(file, number)
        if len(values) != len(header):
            raise RatingsError(f"{position}: expected {len(header)} columns, found {len(values)}")
        cells = zip(header[1:], values[1:], strict=True)
        records[values[0]] = {
            name: _value(name, kind, text, position) for (name, kind), text in cells if text
        }
    return records


def _column(header: str) -> tuple[str, str]:
    name, _, kind = header.partition(":")
    return NAMES.get(name, name), kind


def _value(name: str, kind: str, text: str, position: str) -> object:
    if kind == "token_seq" and name not in ("title", "name"):  # RecBole types a title as a sequence of words
        return text.split(" ")
    if kind not in ("float", "float_seq"):
        return text
    try:
        numbers = [float(number) for number in text.split(" ")]
    except ValueError as error:
        raise RatingsError(f"{position}: {name}: expected a number, got {text!r}") from error
    return numbers if kind == "float_seq" else numbers[0]
