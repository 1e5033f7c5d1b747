"""Artifacts in a store, and the pointers to them."""

import fsspec
import pytest
from random_models import random_model

from dch.artifact import MANIFEST, MODEL, save_model
from dch.errors import ArtifactError
from streams import artifacts


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


def test_an_error_names_a_store_that_cannot_be_written(draft, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        artifacts.upload(draft, str(tmp_path / "file" / "gen-1"))
