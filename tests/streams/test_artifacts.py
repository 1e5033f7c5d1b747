"""Artifacts in a store, and the pointers to them."""

import fsspec
import pytest
from random_models import random_model

from dch.artifact import MANIFEST, MODEL, save_model
from dch.errors import ArtifactError
from streams import artifacts
from streams.messages import ModelPointer


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield "memory://store"
        fsspec.filesystem("memory").store.clear()
    else:
        yield str(tmp_path / "store")


@pytest.fixture
def draft(tmp_path):
    save_model(tmp_path / "draft", random_model(generation=3))
    return tmp_path / "draft"


def upload(store, draft):
    location = artifacts.location_of(store, 3)
    return location, artifacts.upload(draft, location)


def test_load_returns_the_uploaded_model_from_any_kind_of_store(store, draft):
    location, sha256 = upload(store, draft)
    assert artifacts.load(location, sha256).generation == 3
    upload(store, draft)  # replaces the first
    assert artifacts.load(location, sha256.upper()).generation == 3


def test_the_pointer_to_an_uploaded_model_names_its_generation_location_and_watermarks(store, draft):
    pointer = artifacts.upload_model(store, draft, {0: 7, 1: 9})
    assert (pointer.generation, pointer.watermarks) == (3, {"0": 7, "1": 9})
    assert artifacts.load(pointer.location, pointer.sha256).generation == 3


def test_a_local_location_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert artifacts.location_of("here", 7) == str(tmp_path / "here" / "gen-7")
    assert artifacts.location_of("memory://a/b/", 7) == "memory:///a/b/gen-7"


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
    inside = artifacts.location_of(store, 3)
    assert artifacts.location_within(store, pointer(inside)) == inside
    assert artifacts.location_within(store, pointer(inside + "-ab")) == inside + "-ab"
    for url in ("ftp://h/x", "s3://b/gen-3", "memory://stores/gen-3", "http://h/gen-3"):
        with pytest.raises(ArtifactError, match="is outside"):
            artifacts.location_within(store, pointer(url))


def test_a_folder_mounted_at_another_path_is_looked_up_in_the_store_and_never_opened(tmp_path):
    own = artifacts.location_of(str(tmp_path), 3)
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
