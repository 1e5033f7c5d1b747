"""Read the lines of text files, plain or gzipped, and the cells of CSV lines."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from dch.data.readers.read_options import option_text
from dch.errors import RatingsError

UTF_8 = "utf-8-sig"
"""UTF-8, with or without a byte order mark."""

GZIPPED = b"\x1f\x8b"
"""The first bytes of gzipped data."""

_WIDE = ("utf-16", "utf-32")
"""Encodings in which a line does not end with the byte of a line end."""


def line_position(file: Path, line: int) -> str:
    """Return the position of a line as messages show it."""
    return f"{file}:{line}"


def read_lines(file: Path, encoding: str = UTF_8) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, from 1; the line end is kept.

    Raises:
        RatingsError: the file cannot be opened, decompressed or decoded; names the line.
    """
    number = 0
    try:
        with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
            for number, line in enumerate(_decoded(stream, encoding), 1):
                yield number, line
    except UnicodeError as error:
        raise RatingsError(_not_decoded(line_position(file, number + 1), error, encoding)) from error
    except (OSError, EOFError, zlib.error) as error:
        raise RatingsError(f"{line_position(file, number + 1)}: cannot be read: {error}") from error


def read_csv_lines(
    file: Path, separator: str = ",", encoding: str = UTF_8
) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each record with the number of its last line; cells may be in double quotes.

    Raises:
        RatingsError: as for ``read_lines``; or a quote is not closed, or lines end in CR alone; names the
            line.
    """
    is_at_end = False

    def lines() -> Iterator[str]:
        nonlocal is_at_end
        yield from (line for _, line in read_lines(file, encoding))
        is_at_end = True

    reader = csv.reader(lines(), delimiter=separator, skipinitialspace=True)
    while True:
        first_line = reader.line_num + 1
        try:
            values = next(reader)
            if is_at_end:  # the reader looked for the end of a value beyond the last line
                raise csv.Error("a quote is not closed")
        except StopIteration:
            return
        except csv.Error as error:
            found = str(error).partition(" - ")[0]  # the rest is advice for programmers
            raise RatingsError(
                f"{line_position(file, first_line)}: cannot be read as CSV: {found}; "
                "close every quote, and end lines with LF or CR LF"
            ) from error
        yield reader.line_num, values


def split_line(line: str, separator: str) -> list[str]:
    """Return the values of a line without quotes; none for an empty line."""
    text = line.rstrip("\r\n")
    return text.split(separator) if text else []


def _decoded(stream: IO[bytes] | gzip.GzipFile, encoding: str) -> Iterator[str]:
    if encoding.startswith(_WIDE):
        yield from io.StringIO(stream.read().decode(encoding), newline="\n")
        return
    for number, line in enumerate(stream):
        yield line.decode(encoding if number == 0 else encoding.removesuffix("-sig"))


def _not_decoded(position: str, error: UnicodeError, encoding: str) -> str:
    if isinstance(error, UnicodeDecodeError) and error.object.startswith(GZIPPED):
        return f"{position}: expected text, found gzipped data; end the name of the file with .gz"
    name = "UTF-8" if encoding == UTF_8 else encoding
    found = (
        error.object[error.start : error.start + 1] if isinstance(error, UnicodeDecodeError) else str(error)
    )
    guess = "utf-16" if found in (b"\xff", b"\xfe") and position.endswith(":1") else "latin-1"
    option = option_text("encoding", guess)
    return f"{position}: expected text in {name}, found {found!r}; if it is another one, give {option}"
