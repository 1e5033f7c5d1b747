"""A folder of files is written as a whole, and outlasts a power cut; ``test_artifact`` has full disks."""

import errno
import os
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest

from dch.errors import ArtifactError
from dch.folders import write_folder


@pytest.fixture
def synced(monkeypatch):
    """Return what is written to the disk itself and what is renamed, in order, by the names of the paths."""
    done, fsync, rename = [], os.fsync, Path.rename

    def note_fsync(descriptor):
        fsync(descriptor)
        done.append(("sync", Path(f"/proc/self/fd/{descriptor}").resolve().name))

    def note_rename(path, target):
        done.append(("rename", path.name))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    return done


def test_the_names_of_a_new_folder_and_its_files_outlast_a_power_cut(tmp_path, synced):
    write_folder(tmp_path / "store" / "gen-1", {"a": b"1", "b": b"2"})
    files = [("sync", "a"), ("sync", "b")]
    assert synced == [*files, ("sync", "draft"), ("rename", "draft"), ("sync", "store")]


@pytest.mark.parametrize(("number", "is_error"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_has_nothing_to_sync_for_a_folder_is_no_error(
    tmp_path, monkeypatch, number, is_error
):
    fsync = os.fsync

    def fail(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ArtifactError, match="cannot be written") if is_error else nullcontext():
        write_folder(tmp_path / "gen-1", {"a": b"1"})
    assert (tmp_path / "gen-1").exists() is not is_error
