"""Read a JSON object field by field; an invalid field raises ``BadRecord``, which names it.

Unknown fields are ignored.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from dch.data.events import LARGEST_RATING
from dch.data.ids import LARGEST_EXACT
from streams.errors import BadRecord

MAX_ID_BYTES = 256
MAX_OFFSET = 2**63 - 2  # the offset after it is an int64 too
MAX_COUNT = 2**31 - 1
MAX_GENERATION = 2**31 - 1
MAX_HASH_BYTES = 32  # of SHA-256, of which a generation hash has the first ones
MAX_TIME_MS = 253_402_300_799_999  # the end of the year 9999; a later time is in the wrong unit
MAX_RATING = LARGEST_RATING  # one rule for files and records


def short_repr(found: object) -> str:
    """Return a value as text that is short enough for a log line or a header, in the words of JSON."""
    if isinstance(found, str | bytes):
        return repr(found[:60]) + ("..." if len(found) > 60 else "")
    if found is None or isinstance(found, bool):
        return "null" if found is None else str(found).lower()
    if isinstance(found, list | tuple | dict):
        return "an object" if isinstance(found, dict) else "an array"
    return repr(found)[:60] if isinstance(found, int | float) else type(found).__name__


def id_text(found: object, field: str) -> str:
    """Return an id as a string; a number becomes its text, and a whole float that of the integer.

    Raises:
        BadRecord: the id has another type, is empty or longer than 256 bytes, or is a float that has lost
            digits.
    """
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise BadRecord(field, f"expected a string or a number, got {short_repr(found)}")
    if isinstance(found, float) and not abs(found) <= LARGEST_EXACT:
        raise BadRecord(field, f"expected a number below 2^53, or a string, got {short_repr(found)}")
    text = str(int(found) if isinstance(found, float) and found.is_integer() else found)
    size = len(text.encode())
    if not 0 < size <= MAX_ID_BYTES:
        raise BadRecord(field, f"expected 1 to {MAX_ID_BYTES} bytes, got {size}")
    return text


def is_plain_id(found: object) -> bool:
    """Return whether a value is an id as it is, seen at its length; ``id_text`` decides about all others."""
    return type(found) is str and 0 < len(found) <= MAX_ID_BYTES // 4  # a character has at most 4 bytes


def key_id(key: bytes | None) -> str:
    """Return the id in the key of a record.

    Raises:
        BadRecord: the key is missing, is not UTF-8 text, is empty or is too long.
    """
    if key is None:
        raise BadRecord("key", "missing", reason="key")
    try:
        return id_text(key.decode(), "key")
    except UnicodeDecodeError:
        raise BadRecord("key", f"expected UTF-8 text, got {short_repr(key)}", reason="key") from None


class Fields:
    """The fields of one JSON object.

    Args:
        found: the object.
        path: the position of the object in the record, as a prefix of field names in errors.

    Raises:
        BadRecord: from any method, if the field is missing or invalid.
    """

    def __init__(self, found: Mapping[str, object], path: str = "") -> None:
        self._found = found
        self._path = path

    def __contains__(self, name: str) -> bool:
        return self._found.get(name) is not None

    def is_null(self, name: str) -> bool:
        """Return whether the field is there and null."""
        return name in self._found and self._found[name] is None

    def length(self, name: str) -> int:
        """Return the number of entries of a list, unchecked; 0 if the field is absent or no list."""
        found = self._found.get(name)
        return len(found) if isinstance(found, list) else 0

    def entries(self, name: str, *, at_most: int) -> list[object]:
        """Return a list, its entries unchecked; empty if the field is absent."""
        found = self._found.get(name) or []
        if not isinstance(found, list):
            raise self._bad(name, "a list", found)
        if len(found) > at_most:
            raise BadRecord(self._path + name, f"expected at most {at_most} entries, got {len(found)}")
        return found

    def id(self, name: str) -> str:
        """Return an id."""
        return id_text(self._get(name), self._path + name)

    def ids(self, name: str, *, at_most: int) -> tuple[str, ...]:
        """Return a list of ids; empty if the field is absent."""
        entries = self.entries(name, at_most=at_most)
        if all(map(is_plain_id, entries)):
            return cast("tuple[str, ...]", tuple(entries))
        return tuple(id_text(found, f"{self._path}{name}[{i}]") for i, found in enumerate(entries))

    def objects(self, name: str, *, at_most: int) -> list["Fields"]:
        """Return a list of objects; empty if the field is absent."""
        return [
            self._object(found, f"{self._path}{name}[{i}]")
            for i, found in enumerate(self.entries(name, at_most=at_most))
        ]

    def number(self, name: str) -> float:
        """Return a finite number."""
        found = self._get(name)
        if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) <= MAX_RATING:
            raise self._bad(name, "a finite number", found)
        return float(found)

    def integer(self, name: str, *, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number; without a default the field is required."""
        found = self._found.get(name) if default is not None else self._get(name)
        if found is None and default is not None:
            return default
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
            raise self._bad(name, f"a whole number, {low} to {high}", found)
        return found

    def flag(self, name: str) -> bool:
        """Return a boolean; false if the field is absent."""
        found = self._found.get(name)
        if found is not None and not isinstance(found, bool):
            raise self._bad(name, "true or false", found)
        return bool(found)

    def text(self, name: str) -> str:
        """Return a string."""
        found = self._get(name)
        if not isinstance(found, str):
            raise self._bad(name, "a string", found)
        return found

    def hexadecimal(self, name: str, min_bytes: int, max_bytes: int) -> str:
        """Return the hexadecimal digits of a byte string, two for each byte."""
        text = self.text(name)
        try:
            n_bytes = len(bytes.fromhex(text))
        except ValueError:
            raise BadRecord(
                self._path + name, f"expected hexadecimal digits, got {short_repr(text)}"
            ) from None
        if len(text) != 2 * n_bytes or not min_bytes <= n_bytes <= max_bytes:  # fromhex ignores spaces
            expected = f"{2 * min_bytes} to {2 * max_bytes} digits in pairs"
            raise BadRecord(self._path + name, f"expected {expected}, got {short_repr(text)}")
        return text

    def generation_hash(self) -> str:
        """Return what tells models of one generation apart; empty if the field is absent."""
        name = "generation_hash"
        return self.hexadecimal(name, 0, MAX_HASH_BYTES).lower() if name in self else ""

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of the choices; the first if the field is absent."""
        found = self._found.get(name, choices[0])
        if not isinstance(found, str) or found not in choices:
            raise self._bad(name, "one of " + ", ".join(choices), found)
        return found

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return an object unchanged; empty if the field is absent."""
        found = self._found.get(name, {})
        if not isinstance(found, dict):
            raise self._bad(name, "an object", found)
        return found

    def _get(self, name: str) -> object:
        if name not in self._found:
            raise BadRecord(self._path + name, "missing")
        return self._found[name]

    def _object(self, found: object, path: str) -> "Fields":
        if not isinstance(found, dict):
            raise BadRecord(path, f"expected an object, got {short_repr(found)}")
        return Fields(found, path + ".")

    def _bad(self, name: str, expected: str, found: object) -> BadRecord:
        return BadRecord(self._path + name, f"expected {expected}, got {short_repr(found)}")
