"""Checks of command-line values, made before any work starts and without creating a file."""

import os
from pathlib import Path

from streams.errors import SettingsError

PIPED_WIDTH = 80
"""Columns of a table that is written to a file or a pipe, which has no width of its own."""


def parse_seeds(text: str) -> list[int]:
    """Return the seeds in a text such as ``0,1,2``.

    Raises:
        SettingsError: they are not whole numbers of zero or more.
    """
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise SettingsError(f"--seeds must be whole numbers separated by commas, got {text!r}") from None
    if min(found) < 0:
        raise SettingsError(f"--seeds must not be negative, got {text!r}")
    return found


def parse_neighbours(text: str) -> int | None:
    """Return the number of neighbours; None for ``auto``.

    Raises:
        SettingsError: it is neither a whole number nor ``auto``.
    """
    if text == "auto":
        return None
    if not text.isascii() or not text.isdecimal():
        raise SettingsError(f"--neighbours must be a whole number or auto, got {text!r}")
    return int(text)


def require_input(path: Path) -> None:
    """Check that a file or folder to read exists.

    Raises:
        SettingsError: it does not exist.
    """
    if not path.exists():
        raise SettingsError(f"{path}: no such file or folder")


def require_model_folder(folder: Path) -> None:
    """Check that a model can be saved to a folder, before the fit, whose result would be lost.

    Raises:
        SettingsError: the folder holds files other than a model, is a file, or cannot be written.
    """
    from dch.artifact import MANIFEST

    whole = folder.absolute()
    above = next(parent for parent in whole.parents if parent.exists())
    if not above.is_dir() or whole.is_file():
        blocking = whole if whole.is_file() else above
        raise SettingsError(f"--out {folder} cannot be created: {blocking} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise SettingsError(f"--out {folder} cannot be created: no permission to write to {above}")
    if whole.is_dir() and any(whole.iterdir()) and not (whole / MANIFEST).exists():
        raise SettingsError(f"--out {folder} holds files other than a model; give an empty or a new folder")


def require_writable(path: Path) -> None:
    """Check that a report can be written to a file; the file is created if it does not exist.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise SettingsError(f"--json {path} cannot be written: {error.strerror}") from error


def create_folder(folder: Path) -> None:
    """Create a folder and its parents if they do not exist.

    Raises:
        SettingsError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be created: {error.strerror}") from error
