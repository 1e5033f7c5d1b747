"""Write a folder of files as a whole: all of them or none, and on the disk itself."""

import ctypes
import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dch.errors import ArtifactError

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # fcntl.h and linux/fs.h

NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOTSUP)
"""Errors of file systems, such as some of networks, that have nothing to write for a folder."""


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files of a folder, or none: whatever fails, what was there before stays as it was.

    The files are written to a hidden folder beside the target, which then takes its place. A process that
    reads the target meanwhile sees the old files or the new ones; if it has read some of the old ones
    before, their checksums differ.

    Args:
        folder: the folder; what it holds is replaced.
        files: contents by file name.

    Raises:
        ArtifactError: the disk is full, or the folder cannot be written; the message names the file.
    """
    path = folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
            draft = Path(aside) / "draft"
            draft.mkdir()
            for name, content in files.items():
                path = draft / name
                _write_file(path, content)
            path = folder
            _sync_folder(draft)
            _put_in_place(draft, folder)
            _sync_folder(folder.parent)
    except OSError as error:
        where = folder / path.name if path != folder else folder
        raise ArtifactError(
            f"{where} cannot be written ({error.strerror or error}); nothing was changed; check the free "
            f"space and the permissions of {folder.parent}"
        ) from error


def _write_file(path: Path, content: bytes) -> None:
    """Write a file to the disk itself: a full disk may show only there."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk itself: a power cut would lose files that are there already."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def _put_in_place(draft: Path, folder: Path) -> None:
    """Put a folder in the place of another one, which ends up beside the draft.

    In one step where the system can; else the other one is put back if the second step fails.
    """
    previous = draft.with_name("previous")
    if not folder.exists():
        draft.rename(folder)
    elif not _exchange(draft, folder):
        folder.rename(previous)
        try:
            draft.rename(folder)
        except BaseException:
            previous.rename(folder)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system or the file system cannot.

    Python has no call for it: renameat2(2) of Linux, with RENAME_EXCHANGE.
    """
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    return bool(renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)
