"""Lines of text files, plain or gzipped, as (line number, text), and their cells in CSV."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from dch.errors import RatingsError


def read_lines(file: Path, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str]]:
    """Yield each line with its number from 1, line end kept.

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
        raise RatingsError(f"{file}:{number}: expected text in utf-8, found {found!r}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise RatingsError(f"{file}:{number + 1}: cannot be read: {error}") from error


def read_csv_lines(file: Path, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line, which may stand in double quotes, with the number of its last line.

    Raises:
        RatingsError: as ``read_lines``; or a quote is never closed, or lines end in CR alone; names the line.
    """
    reader = csv.reader((line for _, line in read_lines(file)), delimiter=separator)
    while True:
        begin = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found = str(error).partition(" - ")[0]  # what follows is advice for programmers
            raise RatingsError(
                f"{file}:{begin}: cannot be read as CSV: {found}; "
                "close every quote, and end lines with LF or CR LF"
            ) from error
        yield reader.line_num, values
