"""Read lists of items by user: a user, then the user's items, separated by spaces, on each line.

Source:
    The files train.txt and test.txt of Gowalla, Yelp2018 and Amazon-book beside "LightGCN" (He et al., SIGIR
    2020), on which many published tables rest.
"""

from pathlib import Path

from dch.data.readers.rating_columns import FoundColumns, RatingColumns, cell_id, finish
from dch.data.readers.read_options import FLAGS, ReadOptions
from dch.data.readers.text_lines import line_position, read_lines
from dch.errors import ConfigError, RatingsError

OTHER_SEPARATORS = ("\t", ",", ";", "|", "::")
"""A line with one of these is of another format, whose ratings and times would be taken for items."""


def read_item_lists(file: Path, options: ReadOptions) -> RatingColumns:
    """Read a file of such lines; each item counts 1. A user without items has no ratings.

    Raises:
        RatingsError: a line has another format, or no line has an item; names the line.
        ConfigError: the options name columns, which such a file does not have.
    """
    given = [flag for name, flag in FLAGS.items() if options.column(name) is not None]
    if given:
        raise ConfigError(
            f"{file}: {given[0]} is for files with columns; *.txt has a user and items per line"
        )
    users: list[str] = []
    items: list[str] = []
    lines: list[int] = []
    for number, line in read_lines(file, options.text_encoding):
        user, *found = _ids(line, line_position(file, number)) or [""]
        users += [user] * len(found)
        items += found
        lines += [number] * len(found)
    if not items:
        raise RatingsError(f"{file}: expected lines of a user and items, 'user item item ...', found none")
    return finish(FoundColumns(users, items, None, None), file, lambda row: line_position(file, lines[row]))


def _ids(line: str, position: str) -> list[str]:
    for separator in OTHER_SEPARATORS:
        if separator in line:
            raise RatingsError(
                f"{position}: expected a user and items separated by spaces, found {separator!r}; "
                "if the file has columns, end its name in .csv"
            )
    return [cell_id(cell, "user" if at == 0 else "item", position) for at, cell in enumerate(line.split())]
