"""Files of an experiment: written whole or not at all, so that a run can be cut at any moment."""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

Value = TypeVar("Value")


def write_text(path: Path, text: str) -> None:
    """Write a file and the folders above it; whoever looks sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write as JSON; numbers of numpy are numbers, a NaN is null."""
    content = msgspec.json.encode(value, enc_hook=_plain)
    write_text(path, msgspec.json.format(content, indent=1).decode() + "\n")


def read_json(path: Path, kind: type[Value]) -> Value | None:
    """Return what a file holds, or None where it is missing or holds something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def digest_of(settings: Mapping[str, object]) -> str:
    """Return twelve hex digits that change with any of the settings."""
    return sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()[:12]


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder."""
    return sum(one.stat().st_size for one in path.iterdir()) if path.is_dir() else path.stat().st_size


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise NotImplementedError(f"an outcome holds {type(value).__name__}, which JSON does not know")
