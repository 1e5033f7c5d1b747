"""Checks of paths that the command line names, made before any work is done and without leaving a trace."""

import os
from pathlib import Path

from streams.errors import SettingsError


def require_input(path: Path) -> None:
    """Refuse a file or folder to read that is not there.

    Raises:
        SettingsError: it is not there.
    """
    if not path.exists():
        raise SettingsError(f"{path}: no such file or folder")


def require_output(folder: Path) -> None:
    """Refuse a folder that a model cannot be saved to: it is a pity to find that out after a fit.

    Raises:
        SettingsError: it holds other files than a model, is a file, or cannot be written.
    """
    from dch.artifact import MANIFEST

    whole = folder.absolute()
    above = next(parent for parent in whole.parents if parent.exists())
    if not above.is_dir() or whole.is_file():
        raise SettingsError(
            f"--out {folder} cannot be made: {whole if whole.is_file() else above} is no folder"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise SettingsError(f"--out {folder} cannot be made: {above} may not be written")
    if whole.is_dir() and any(whole.iterdir()) and not (whole / MANIFEST).exists():
        raise SettingsError(f"--out {folder} holds other files; give an empty or a new folder")
