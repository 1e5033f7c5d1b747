"""Watch the file in which noida-db 0.2.3 keeps everything: noida-db does not say when it cannot write it.

noida-db holds all records in memory and rewrites the whole file about once a second: it writes ``kafka.tmp``
and renames it to ``kafka.json``. If the disk is full, ``kafka.tmp`` stays half-written, noida-db never tries
again, and it goes on acknowledging records. So the broker has to end: before that, while one more copy of
everything still fits on the disk, or else as soon as it is seen.
"""

import asyncio
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

from streams.errors import EmbeddedBrokerError

LOOK_S = 0.2
"""Time between two looks at the file."""

STUCK_LOOKS = 50
"""Looks without any change after which a half-written file counts as given up. Healthy ones take some
hundredths of a second. Looks are counted, not seconds: a machine that was suspended is not a full disk."""

BYTES_PER_BYTE = 5
"""What one byte of a produce request takes in the file, at most: records are JSON there."""

MARGIN_BYTES = 8 << 20


class Store:
    """The file of noida-db in a data folder.

    Args:
        folder: the data folder.
        room: returns how many bytes a new file in the folder may have.
    """

    def __init__(self, folder: Path, room: Callable[[Path], int] | None = None) -> None:
        self._folder = folder
        self._file, self._half = folder / "kafka.json", folder / "kafka.tmp"
        self._room = room or room_in
        self._n_unsaved_bytes = self._n_looks = 0
        self._saved = self._growing = (0, 0, 0)

    def note_produced(self, n_bytes: int) -> None:
        """Record that a produce request of this size comes.

        Raises:
            EmbeddedBrokerError: there is no room for it. noida-db can still write what it holds.
        """
        self._n_unsaved_bytes += n_bytes
        needed = _size(self._file) + BYTES_PER_BYTE * self._n_unsaved_bytes + MARGIN_BYTES
        if (room := self._room(self._folder)) < needed:
            raise EmbeddedBrokerError(
                f"no room in {self._folder}: it takes {needed >> 20} MB to write all records again, and "
                f"{room >> 20} MB are free; the broker ends, and keeps all acknowledged records; free some "
                "space, or choose another --data"
            )

    async def watch(self) -> None:
        """Look at the file again and again.

        Raises:
            EmbeddedBrokerError: noida-db has given up writing it.
        """
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Look at the file once; see ``watch``."""
        saved, growing = _identity(self._file), _identity(self._half)
        if saved != self._saved:
            self._n_unsaved_bytes = 0
        is_stuck = growing[0] != 0 and (saved, growing) == (self._saved, self._growing)
        self._n_looks = self._n_looks + 1 if is_stuck else 0
        self._saved, self._growing = saved, growing
        if self._n_looks >= STUCK_LOOKS:
            raise EmbeddedBrokerError(
                f"noida-db could not write {self._file}, and has left {self._half.name} half-written; is the "
                f"disk full? records that were acknowledged after {_clock_time(self._file)} are lost; free "
                "some space, or choose another --data"
            )


def room_in(folder: Path) -> int:
    """Return how many bytes a new file in a folder may have, by the disk and by the limit of the process."""
    disk = os.statvfs(folder)
    is_read_only = bool(disk.f_flag & os.ST_RDONLY)
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    free = 0 if is_read_only else disk.f_bavail * disk.f_frsize
    return free if limit == resource.RLIM_INFINITY else min(free, limit)


def _size(file: Path) -> int:
    return _identity(file)[1]


def _identity(file: Path) -> tuple[int, int, int]:
    """Return the inode, size and time of change of a file; zeros if it does not exist."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns


def _clock_time(file: Path) -> str:
    changed_ns = _identity(file)[2]
    return time.strftime("%H:%M:%S", time.localtime(changed_ns / 1e9)) if changed_ns else "the start"
