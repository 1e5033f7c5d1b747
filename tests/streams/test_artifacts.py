"""Artifacts in a store, and the pointers to them."""

import threading

import fsspec
import pytest
from msgspec.structs import replace
from random_models import random_model

from dch.artifact import MANIFEST, MODEL, manifest_sha256, save_model
from dch.errors import ArtifactError, ConfigError, MissingExtraError
from streams import artifacts
from streams.artifacts import StoreError
from streams.messages import ModelPointer
from streams.settings import WorkerSettings
from streams.worker.main import serve
from tests.full_disk import no_room_beyond


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield "memory://store"
        system = fsspec.filesystem("memory")
        system.store.clear()
        system.pseudo_dirs[:] = [""]
    else:
        yield str(tmp_path / "store")


@pytest.fixture
def draft(tmp_path):
    save_model(tmp_path / "draft", random_model(generation=3))
    return tmp_path / "draft"


def upload(store, draft):
    sha256 = manifest_sha256(draft)
    location = artifacts.location_of(store, 3, sha256)
    artifacts.upload(draft, location)
    return location, sha256


def test_load_returns_the_uploaded_model_from_any_kind_of_store(store, draft):
    location, sha256 = upload(store, draft)
    assert artifacts.load(location, sha256).generation == 3
    upload(store, draft)  # again, as a trainer that repeats its work
    assert artifacts.load(location, sha256.upper()).generation == 3


def test_the_pointer_to_an_uploaded_model_names_its_generation_location_and_watermarks(store, draft):
    pointer = artifacts.upload_model(store, draft, {0: 7, 1: 9})
    assert (pointer.generation, pointer.watermarks) == (3, {"0": 7, "1": 9})
    assert artifacts.load(pointer.location, pointer.sha256).generation == 3


def test_a_local_location_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sha256 = "0123456789ABCDEF" * 4
    assert artifacts.location_of("here", 7, sha256) == str(tmp_path / "here" / "gen-000007-0123456789ab")
    assert artifacts.location_of("memory://a/b/", 7, sha256) == "memory:///a/b/gen-000007-0123456789ab"


def test_an_artifact_with_another_checksum_is_refused(store, draft):
    location, _ = upload(store, draft)
    with pytest.raises(ArtifactError, match="the pointer has 00"):
        artifacts.load(location, "00")


def test_a_missing_or_damaged_artifact_is_refused(store, draft):
    location, sha256 = upload(store, draft)
    with pytest.raises(ArtifactError):
        artifacts.load(location + "0", sha256)
    system, path = fsspec.core.url_to_fs(location)
    with system.open(f"{path}/{MODEL}", "r+b" if "memory" not in location else "wb") as file:
        file.write(b"damaged")
    with pytest.raises(ArtifactError):
        artifacts.load(location, sha256)
    system.rm(f"{path}/{MANIFEST}")
    with pytest.raises(ArtifactError):
        artifacts.load(location, sha256)


def pointer(location, generation=3):
    return ModelPointer(
        generation=generation, location=location, sha256="00", watermarks={}, trained_at=0, metrics={}
    )


def test_an_artifact_is_loaded_from_inside_the_store_only(store):
    inside = artifacts.location_of(store, 3, "00")
    assert artifacts.location_within(store, pointer(inside)) == inside
    assert artifacts.location_within(store, pointer(inside + "-ab")) == inside + "-ab"
    for url in ("ftp://h/x", "s3://b/gen-3", "memory://stores/gen-3", "http://h/gen-3"):
        with pytest.raises(ArtifactError, match="is outside"):
            artifacts.location_within(store, pointer(url))


def test_a_folder_mounted_at_another_path_is_looked_up_in_the_store_and_never_opened(tmp_path):
    own = artifacts.location_of(str(tmp_path), 3, "00")
    for path in ("/etc", "/", "gen-3", f"{tmp_path}/../x", f"{tmp_path}", f"file://{tmp_path}/../gen-3"):
        assert artifacts.location_within(str(tmp_path), pointer(path)) == own
    assert artifacts.location_within(str(tmp_path), pointer(f"file://{own}")) == own


def test_every_error_of_a_store_is_an_artifact_error(monkeypatch):
    def fail(*args):
        raise RuntimeError("the store is broken")

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    for call in (
        lambda: artifacts.load("s3://b/x", "00"),
        lambda: artifacts.location_within("s3://b", pointer("x")),
    ):
        with pytest.raises(ArtifactError, match="RuntimeError: the store is broken"):
            call()


def test_an_error_names_a_store_that_cannot_be_written(draft, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        artifacts.upload(draft, str(tmp_path / "file" / "gen-1"))


def test_two_models_of_one_generation_do_not_overwrite_each_other(store, draft, tmp_path):
    save_model(tmp_path / "other", random_model(generation=3, seed=5))
    first, second = (artifacts.upload_model(store, folder, {}) for folder in (draft, tmp_path / "other"))
    assert first.location != second.location
    assert first.generation_hash != second.generation_hash
    for pointer in (first, second):
        assert artifacts.load(pointer.location, pointer.sha256).generation_hash == pointer.generation_hash


def files_in(store):
    system, path = fsspec.core.url_to_fs(store)
    return sorted(system.find(path)) if system.exists(path) else []


def test_a_disk_that_fills_up_during_an_upload_leaves_no_file_and_the_error_names_the_location(
    draft, tmp_path
):
    store = str(tmp_path / "store")
    location = artifacts.location_of(store, 3, manifest_sha256(draft))
    with no_room_beyond(500), pytest.raises(StoreError, match=f"{location}.* cannot be written"):
        artifacts.upload(draft, location)
    assert files_in(store) == []


def test_an_upload_to_an_object_store_that_fails_halfway_is_removed(draft, monkeypatch):
    system = fsspec.filesystem("memory")
    pipe_file = type(system).pipe_file

    def fail(self, path, content, **kwargs):
        if path.endswith(MANIFEST):
            raise OSError("the connection was lost")
        return pipe_file(self, path, content, **kwargs)

    monkeypatch.setattr(type(system), "pipe_file", fail)
    with pytest.raises(StoreError, match="gen-3 cannot be written"):
        artifacts.upload(draft, "memory://store/gen-3")
    assert files_in("memory://store") == []
    system.pseudo_dirs[:] = [""]


def test_the_check_of_a_store_writes_reads_and_deletes_and_leaves_nothing(store):
    artifacts.check_store(store)
    assert files_in(store) == []


def test_the_check_of_a_store_on_a_full_disk_leaves_no_file(tmp_path):
    with no_room_beyond(1), pytest.raises(StoreError, match="cannot be used"):
        artifacts.check_store(str(tmp_path / "store"))
    assert files_in(str(tmp_path / "store")) == []


def test_the_check_of_a_store_names_what_is_wrong(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"{tmp_path}/file/x cannot be used"):
        artifacts.check_store(str(tmp_path / "file" / "x"))

    with pytest.raises(ConfigError, match="nosuch://x cannot be opened"):
        artifacts.check_store("nosuch://x")

    def without_s3fs(name):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", without_s3fs)
    for call in (artifacts.check_store, artifacts.root_of):
        with pytest.raises(MissingExtraError, match="Install s3fs to access S3"):
            call("s3://bucket/models")


def test_what_may_pass_is_a_store_error_and_what_is_wrong_for_good_is_not(store, draft, tmp_path):
    location, sha256 = upload(store, draft)
    system, path = fsspec.core.url_to_fs(location)
    with pytest.raises(StoreError):
        artifacts.load(location + "0", sha256)  # missing
    system.rm_file(f"{path}/{MODEL}")
    with pytest.raises(StoreError):
        artifacts.load(location, sha256)
    upload(store, draft)
    assert artifacts.load(location, sha256).generation == 3
    system.pipe_file(f"{path}/{MODEL}", b"damaged")
    for checksum in (sha256, "00"):
        with pytest.raises(ArtifactError) as caught:
            artifacts.load(location, checksum)
        assert not isinstance(caught.value, StoreError)


def test_what_a_store_lacks_is_told_from_a_store_that_says_nothing(store, draft, tmp_path):
    with pytest.raises(StoreError):
        artifacts.are_missing(store, [])  # there is no store
    held = artifacts.upload_model(store, draft, {})
    root = artifacts.root_of(store)
    lost = [replace(held, sha256="7" * 64, location=f"{root}/{name}") for name in ("gen-7", "a/b", "..")]
    outside = replace(held, location="ftp://h/x")
    assert artifacts.are_missing(store, [held, *lost[:2], outside]) == [False, True, True, False]
    corrupt = replace(held, sha256="7" * 64)
    assert artifacts.are_missing(store, [corrupt]) == [False]
    assert artifacts.newest_held(store, [held, corrupt, *lost]) == held
    assert artifacts.newest_held(store, [corrupt, *lost]) is None
    system, path = fsspec.core.url_to_fs(held.location)
    system.rm_file(f"{path}/{MANIFEST}")
    assert artifacts.are_missing(store, [held, *lost[:2]]) == [False] * 3, "the store holds no other artifact"
    assert artifacts.newest_held(store, [held]) is None


def test_the_newest_model_held_is_the_newest_that_can_be_loaded(store, draft):
    held = artifacts.upload_model(store, draft, {})
    renumbered = replace(held, generation=4)
    assert artifacts.newest_held(store, [held, renumbered]) == held
    with pytest.raises(ArtifactError, match="holds generation 3"):
        artifacts.load_announced(store, renumbered)
    system, path = fsspec.core.url_to_fs(held.location)
    for damage in (
        lambda: system.pipe_file(f"{path}/{MODEL}", b"damaged"),
        lambda: system.rm(f"{path}/{MODEL}"),
    ):
        damage()
        assert artifacts.newest_held(store, [held]) is None


def test_a_store_that_fails_does_not_say_that_a_model_cannot_be_loaded(store, draft, monkeypatch):
    held = artifacts.upload_model(store, draft, {})

    def fail(*args):
        raise PermissionError("denied")

    monkeypatch.setattr(artifacts, "_local_copy", fail)
    with pytest.raises(StoreError, match="denied"):
        artifacts.newest_held(store, [held])


def test_a_worker_does_not_wait_for_a_store_that_is_a_file(tmp_path):
    (file := tmp_path / "file").write_text("")
    for store in (file, file / "x", f"file://{file}"):
        with pytest.raises(ConfigError, match="file is a file and no folder; set --artifacts"):
            serve(WorkerSettings(artifacts=str(store)), threading.Event())
    artifacts.require_folder(str(tmp_path / "mounted later"))
    artifacts.require_folder("memory://store")
