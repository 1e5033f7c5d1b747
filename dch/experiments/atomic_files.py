"""Files of an experiment, replaced atomically, so that a run can be interrupted at any moment."""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

Value = TypeVar("Value")


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically and create its folders; a reader sees the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # without it a power cut can leave an empty file under the final name
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically and create its folders."""
    write_bytes(path, text.encode())


def to_json(value: object) -> bytes:
    """Encode a value as JSON; numpy scalars become numbers, numpy arrays become lists, NaN becomes null.

    Raises:
        NotImplementedError: JSON cannot represent the value.
    """
    return msgspec.json.encode(value, enc_hook=_plain)


def write_json(path: Path, value: object) -> None:
    """Replace a JSON file atomically and create its folders; see ``to_json``."""
    write_bytes(path, msgspec.json.format(to_json(value), indent=1) + b"\n")


def read_json(path: Path, kind: type[Value]) -> Value | None:
    """Read a JSON file; return None if it is missing or does not hold a value of this type."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def digest_of(settings: Mapping[str, object]) -> str:
    """Return twelve hex digits that change when any of the settings changes."""
    return sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()[:12]


def size_of(path: Path) -> int:
    """Return the size in bytes of a file, or of the files directly inside a folder."""
    return sum(one.stat().st_size for one in path.iterdir()) if path.is_dir() else path.stat().st_size


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise NotImplementedError(f"an outcome contains a {type(value).__name__}, which JSON cannot represent")
