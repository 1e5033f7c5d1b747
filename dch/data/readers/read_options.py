"""What the caller says of a file of ratings: its columns, separator, encoding and header."""

import codecs
from dataclasses import dataclass
from typing import Literal

from dch.errors import ConfigError

NONE = "none"
"""In place of a column: the file has none. Each rating then counts 1, and the last one of a pair wins."""

SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}

Column = Literal["user", "item", "rating", "timestamp"]

NO_HEADER = "--no-header (in Python header=False)"


def option_text(name: str, value: str = "") -> str:
    """Return how a message names an option, which may be given in a shell or in Python."""
    flag = "--" + name.replace("_", "-")
    return f"{flag} {value} (in Python {name}={value!r})" if value else f"{flag} (in Python {name})"


FLAGS: dict[str, str] = {
    "user": option_text("user_column"),
    "item": option_text("item_column"),
    "rating": option_text("rating_column"),
    "timestamp": option_text("time_column"),
}
"""The option for each column, as messages name it."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a file of ratings. None: found by the name of the file and by its first line."""

    user_column: str | int | None = None
    """Name of the column of users, or its number from 1."""

    item_column: str | int | None = None
    rating_column: str | int | None = None
    """``none``: each rating counts 1."""

    time_column: str | int | None = None
    """``none``: the file has no times."""

    delimiter: str | None = None
    """Separator of columns in a text file, one character or more; or ``tab``, ``space``."""

    encoding: str | None = None
    """Encoding of a text file; None is UTF-8."""

    header: bool = True
    """Whether the first line of a file with separators names the columns."""

    def __post_init__(self) -> None:
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise ConfigError(
                    f"encoding must be known to Python, such as utf-8 or latin-1, got {self.encoding!r}"
                ) from None
        if self.delimiter == "":
            raise ConfigError("delimiter must be one character or more, got ''")

    @property
    def separator(self) -> str | None:
        """The separator itself; None if none is given."""
        return None if self.delimiter is None else SEPARATORS.get(self.delimiter, self.delimiter)

    @property
    def text_encoding(self) -> str:
        """The encoding of text files; a byte order mark is dropped from UTF-8."""
        name = codecs.lookup(self.encoding or "utf-8").name
        return "utf-8-sig" if name == "utf-8" else name

    def column(self, name: str) -> str | None:
        """Return what is given for one of the columns user, item, rating and timestamp."""
        found = getattr(self, "time_column" if name == "timestamp" else f"{name}_column")
        return None if found is None else str(found)
