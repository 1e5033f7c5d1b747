"""Read the lines of text files, plain or gzipped, and the cells of CSV lines."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from dch.errors import RatingsError


def line_position(file: Path, line: int) -> str:
    """Return the position of a line as messages show it."""
    return f"{file}:{line}"


def read_lines(file: Path, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str]]:
    """Yield each line with its number, from 1; the line end is kept.

    Raises:
        RatingsError: the file cannot be opened, decompressed or decoded; names the line.
    """
    number = 0
    try:
        with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                yield number, line.decode(encoding if number == 1 else encoding.removesuffix("-sig"))
    except UnicodeDecodeError as error:
        found = error.object[error.start : error.start + 1]
        raise RatingsError(
            f"{line_position(file, number)}: expected text in UTF-8, found {found!r}"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise RatingsError(f"{line_position(file, number + 1)}: cannot be read: {error}") from error


def read_csv_lines(file: Path, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each record with the number of its last line; cells may be in double quotes.

    Raises:
        RatingsError: as for ``read_lines``; or a quote is not closed, or lines end in CR alone; names the
            line.
    """
    reader = csv.reader((line for _, line in read_lines(file)), delimiter=separator)
    while True:
        first_line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found = str(error).partition(" - ")[0]  # the rest is advice for programmers
            raise RatingsError(
                f"{line_position(file, first_line)}: cannot be read as CSV: {found}; "
                "close every quote, and end lines with LF or CR LF"
            ) from error
        yield reader.line_num, values
