"""Old artifacts are removed from the store after a publication; the newest and the published one stay."""

import fsspec
import pytest
from random_models import random_model

from dch.artifact import save_model
from streams import artifacts
from streams.trainer.retention import old_folders, remove_old

HASH = "0123456789ab"


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield "memory://store"
        system = fsspec.filesystem("memory")
        system.store.clear()
        system.pseudo_dirs[:] = [""]
    else:
        yield str(tmp_path / "store")


def publish(store, folder, generation, seed=0):
    save_model(folder, random_model(generation=generation, seed=seed))
    return artifacts.upload_model(store, folder, {})


def names_in(store):
    system, path = fsspec.core.url_to_fs(store)
    return sorted({name.rstrip("/").rpartition("/")[2] for name in system.ls(path, detail=False)})


def name_of(pointer):
    return pointer.location.rpartition("/")[2]


def test_the_newest_generations_are_kept_and_nothing_else_is_touched(store, tmp_path):
    pointers = [publish(store, tmp_path / "draft", generation) for generation in range(1, 6)]
    rival = publish(store, tmp_path / "draft", 4, seed=9)
    system, path = fsspec.core.url_to_fs(store)
    for name in ("notes.txt", "gen-old", f"gen-000001-{HASH}.bak"):
        system.pipe_file(f"{path}/{name}", b"not an artifact")
    remove_old(store, pointers[-1], keep=3)
    kept = [name_of(pointer) for pointer in (*pointers[2:], rival)]
    assert names_in(store) == sorted([*kept, "notes.txt", "gen-old", f"gen-000001-{HASH}.bak"])
    for pointer in (*pointers[2:], rival):
        assert artifacts.load(pointer.location, pointer.sha256).generation == pointer.generation


@pytest.mark.parametrize(
    ("generations", "newest", "keep", "removed"),
    [
        ([1, 2, 3], 3, 3, []),
        ([1, 2, 3, 4], 4, 3, [1]),
        ([1, 5, 9, 12], 12, 1, [1, 5, 9]),
        ([1, 2, 3, 10**9], 3, 2, [1]),  # whatever wrote generation 10**9, it does not push out real ones
        ([7, 8], 3, 1, []),
    ],
)
def test_which_folders_are_old(generations, newest, keep, removed):
    paths = {generation: f"/store/gen-{generation:06d}-{HASH}" for generation in generations}
    assert old_folders(list(paths.values()), newest, keep) == [paths[generation] for generation in removed]


def test_half_written_and_earlier_folders_are_removed_with_their_generation():
    names = [f"/s/.gen-000001-{HASH}-k3_x9", "/s/gen-1", f"/s/gen-000004-{HASH}", f"/s/.gen-000004-{HASH}-ab"]
    assert old_folders(names, 4, keep=1) == names[:2]


def test_an_error_of_the_store_is_logged_and_not_raised(store, tmp_path, caplog):
    pointer = publish(store, tmp_path / "draft", 9)
    remove_old(f"{store}/missing", pointer, keep=1)
    assert "old artifacts cannot be removed" in caplog.text
