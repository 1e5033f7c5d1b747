"""Read the feature records of items or users from a table with a header, such as ``items.csv``."""

from pathlib import Path

from dch.data.features import AVAILABLE, Features
from dch.data.readers.column_names import id_column, plain
from dch.data.readers.layout import Layout, fit_layout, raw_cells
from dch.data.readers.rating_columns import cell_id
from dch.data.readers.read_options import ReadOptions
from dch.data.readers.text_lines import line_position
from dch.errors import RatingsError

TITLES = frozenset({"title", "name", "description"})
"""Display texts, which are one value even with ``|`` in them."""

LISTS = frozenset({"genres", "tags", "categories"})
"""Features that are a list, even of one value."""

TITLE_NAMES = ("title", "movietitle", "itemtitle", "booktitle", "producttitle", "name")
"""Columns that may be the title of an item, as ``plain`` returns them; the first one found is used."""


class NoIdColumnError(RatingsError):
    """A table has no column for the ids, so it is not one of features."""


def read_feature_table(file: Path, side: str, encoding: str) -> dict[str, Features]:
    """Read a table; its first line names the columns, in any order.

    The id is in the column of ``dch.data.readers.column_names``, or ``id``. Each other column is a feature
    under its own name; values with ``|`` between them are a list, and an empty cell gives no feature.

    Args:
        file: a text file with a separator that its first line shows.
        side: ``item`` or ``user``.
        encoding: encoding of the text.

    Raises:
        NoIdColumnError: no column is known as the id.
        RatingsError: a line has another number of columns; names the file and the line.
    """
    suffix_separator = "\t" if ".tsv" in file.name.lower() else ","
    layout = fit_layout(file, Layout(suffix_separator, quotes=True), ReadOptions(encoding=encoding))
    lines = raw_cells(file, layout)
    header = [name.strip() for name in next(lines, (1, []))[1]]
    id_index, names = _id_index(header, side, file), _feature_names(header, side)
    records: dict[str, Features] = {}
    for number, values in lines:
        position = line_position(file, number)
        if values and len(values) != len(header):
            raise RatingsError(f"{position}: expected {len(header)} columns, found {len(values)}")
        id_ = cell_id(values[id_index], side, position) if values else ""
        if id_:
            cells = [(names[index], text.strip()) for index, text in enumerate(values)]
            del cells[id_index]
            records[id_] = {name: _value(name, text) for name, text in cells if text}
    return records


def _id_index(header: list[str], side: str, file: Path) -> int:
    name = id_column(header, side)
    if name is not None:
        return header.index(name)
    raise NoIdColumnError(
        f"{line_position(file, 1)}: no column for the {side}, found {', '.join(header)!r}; name it {side!r}"
    )


def _feature_names(header: list[str], side: str) -> list[str]:
    if side == "user":
        return header
    names, simple = list(header), [plain(name) for name in header]
    for feature, others in (("title", TITLE_NAMES), (AVAILABLE, (AVAILABLE,))):
        found = [simple.index(name) for name in others if name in simple]
        if feature not in header and found:
            names[found[0]] = feature
    return names


def _value(name: str, text: str) -> object:
    if name in LISTS or ("|" in text and name not in TITLES):
        return text.split("|")
    return text
