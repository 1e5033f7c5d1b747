"""How the lines of a text file are split into columns: by the suffix, the first line and the caller."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dch.data.readers.column_names import is_header
from dch.data.readers.read_options import ReadOptions
from dch.data.readers.text_lines import UTF_8, read_csv_lines, read_lines, split_line

NAMES = ("user", "item", "rating", "timestamp")
"""Names of the columns of a file without a header, in their order."""

SEPARATORS = (",", ";", "\t", "|", "::")
"""Separators that are tried on the first line."""


@dataclass(frozen=True)
class Layout:
    """How the lines of a format are split into columns."""

    separator: str
    """Separator of columns, one or more characters."""

    quotes: bool = False
    """Whether values may be in double quotes."""

    names: tuple[str, ...] | None = None
    """Names of the columns; None if the first line is a header (of ``name:type`` the type is dropped)."""

    encoding: str = UTF_8
    """Encoding of the text."""


def fit_layout(file: Path, usual: Layout, options: ReadOptions) -> Layout:
    """Return the layout of a file: that of its format, corrected by what the caller says and the first line.

    Raises:
        RatingsError: the first line cannot be read.
    """
    layout = replace(usual, encoding=options.text_encoding)
    if options.separator is not None:
        layout = with_separator(layout, options.separator)
    else:
        layout = _by_first_line(layout, _first_line(file, layout.encoding))
    if options.header or layout.names is not None:
        return layout
    width = len(next(raw_cells(file, layout), (1, NAMES))[1])
    return replace(layout, names=(*NAMES[:width], *(f"column {n}" for n in range(len(NAMES) + 1, width + 1))))


def with_separator(layout: Layout, separator: str) -> Layout:
    """Return a layout with another separator; only one character goes together with quotes."""
    return replace(layout, separator=separator, quotes=len(separator) == 1)


def raw_cells(file: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the values of each line; an empty line has no values.

    Raises:
        RatingsError: a line cannot be read; names it.
    """
    if layout.quotes:
        yield from read_csv_lines(file, layout.separator, layout.encoding)
        return
    for number, line in read_lines(file, layout.encoding):
        yield number, split_line(line, layout.separator)


def has_known_header(file: Path) -> bool:
    """Return whether the first line of a file names the columns of users and items.

    Raises:
        RatingsError: the first line cannot be read.
    """
    line = _first_line(file, UTF_8)
    return any(is_header(_header_names(line, separator)) for separator in SEPARATORS)


def _by_first_line(layout: Layout, line: str) -> Layout:
    for separator in (layout.separator, *SEPARATORS):
        if is_header(_header_names(line, separator)):
            named = layout if separator == layout.separator else with_separator(layout, separator)
            return replace(named, names=None)
    if layout.separator in line:
        return layout
    most = max(SEPARATORS, key=line.count)
    return with_separator(layout, most) if most in line else layout


def _header_names(line: str, separator: str) -> list[str]:
    return [name.strip('" ').partition(":")[0] for name in split_line(line, separator)]


def _first_line(file: Path, encoding: str) -> str:
    return next((line for _, line in read_lines(file, encoding)), "")
