"""Saved models: what loading gives back, and the error for each kind of damage."""

import ctypes
import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_models import random_feature_codes, random_lifts, random_model

from dch import Recommender
from dch.artifact import load_model, manifest_sha256, save_model
from dch.errors import ArtifactError
from dch.models.feature_codes import NO_FEATURE_CODES
from dch.tensors import model_tensors
from tests.full_disk import no_room_beyond

MODEL = random_model(
    user_tokens=["age=25"],
    item_tokens=["genres=Drama", "ü=ß"],
    lifts=random_lifts(n_tokens=1),
    feature_codes=random_feature_codes(2, 28),
)


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "gen-1", MODEL)
    return tmp_path / "gen-1"


def test_a_loaded_model_has_the_same_bits(folder):
    loaded = load_model(folder)
    ours, theirs = model_tensors(MODEL), model_tensors(loaded)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.tobytes() == theirs[name].tobytes(), name
    assert (loaded.generation, loaded.positive_from, loaded.feature_weight) == (1, 4.0, 1.0)
    assert list(loaded.item_tokens) == ["genres=Drama", "ü=ß"]


def test_a_loaded_recommender_gives_the_same_codes_and_lists(tmp_path):
    recommender = Recommender(MODEL)
    recommender.state.set_item("i7", {"title": "Hidden", "available": False, "genres": ["Drama"]})
    recommender.state.set_user("u9", {"age": 25})
    for step in range(40):
        recommender.fold_in(f"u{step % 7}", f"i{step * 3 % 9}", 1.0 + step % 5, step)
    recommender.fold_in("u1", "i3", float("nan"))
    recommender.save(tmp_path / "saved")
    loaded = Recommender.load(tmp_path / "saved")
    recommender.state.set_user("of an age", {"age": 25})
    loaded.state.set_user("of an age", {"age": 25})
    for user in (*(f"u{n}" for n in range(10)), "a stranger", "of an age"):
        assert loaded.user_code(user) == recommender.user_code(user)
        assert loaded.recommend(user) == recommender.recommend(user)


def test_withdrawn_and_forgotten_ratings_stay_so_after_loading(tmp_path):
    recommender = Recommender(MODEL)
    recommender.fold_in("u1", "i1", 5.0, 1000)
    recommender.fold_in("u1", "i1", float("nan"), 2000)
    recommender.fold_in("u2", "i1", 5.0, 1000)
    recommender.state.set_user("u2", None, timestamp_ms=2000)
    recommender.save(tmp_path / "saved")
    loaded = Recommender.load(tmp_path / "saved")
    for late in (recommender, loaded):
        late.fold_in("u1", "i1", 4.0, 1500)
        late.fold_in("u2", "i2", 4.0, 1500)
        assert late.user_code("u1") is None
        assert late.user_code("u2") is None


def test_a_saved_model_loads_as_a_recommender_without_ratings(folder):
    assert Recommender.load(folder).recommend("u1") == []


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


def corrupt(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def edit(**changes):
    def apply(path):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return apply


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.safetensors", truncate, "bytes, but the manifest lists"),
        ("model.safetensors", corrupt, "does not match its SHA-256"),
        ("model.safetensors", lambda path: path.unlink(), "cannot be read"),
        ("manifest.json", lambda path: path.unlink(), "no artifact at"),
        ("manifest.json", lambda path: path.write_text("{"), "cannot be decoded"),
        ("manifest.json", lambda path: path.write_bytes(b"\xff\xfe"), "cannot be decoded"),
        ("manifest.json", lambda path: path.write_text("[]"), "is not the manifest of a dch-artifact"),
        ("manifest.json", edit(format="other"), "is not the manifest of a dch-artifact"),
        ("manifest.json", edit(format_version=99), "has format_version 99, but this program reads 1"),
        ("manifest.json", edit(generation="one"), "cannot be decoded"),
        ("manifest.json", edit(files={}), "does not list model.safetensors"),
    ],
)
def test_the_error_for_a_damaged_artifact_names_the_damage(folder, name, damage, message):
    damage(folder / name)
    with pytest.raises(ArtifactError, match=message):
        Recommender.load(folder)


def test_tensors_that_do_not_fit_together_are_refused(folder, monkeypatch):
    tensors = model_tensors(MODEL)
    tensors["user_tower.bag"] = np.zeros((1, 24), np.float32)
    monkeypatch.setattr("dch.artifact.model_tensors", lambda model: tensors)
    save_model(folder, MODEL)
    with pytest.raises(ArtifactError, match="the user tower's bag has 1 rows for 9 tokens"):
        load_model(folder)


def test_an_earlier_artifact_may_lack_ranking_vectors_and_nothing_else(folder, monkeypatch):
    model = replace(MODEL, feature_codes=NO_FEATURE_CODES)
    tensors = {name: tensor for name, tensor in model_tensors(model).items() if "vector" not in name}
    monkeypatch.setattr("dch.artifact.model_tensors", lambda model: tensors)
    save_model(folder, MODEL)
    assert load_model(folder).user_tower.vector_size == 0
    tensors.pop("item_tower.shift")
    save_model(folder, MODEL)
    with pytest.raises(ArtifactError, match=r"item_tower\.shift"):
        load_model(folder)


def test_an_artifact_with_a_part_of_its_feature_codes_is_refused(folder, monkeypatch):
    tensors = model_tensors(MODEL)
    monkeypatch.setattr("dch.artifact.model_tensors", lambda model: tensors)
    tensors["feature_codes.table"] = tensors["feature_codes.table"][:-1]
    save_model(folder, MODEL)
    with pytest.raises(ArtifactError, match=r"feature codes has shape \(3, 28\).* need \(4, 28\)"):
        load_model(folder)
    tensors.pop("feature_codes.pairs")
    save_model(folder, MODEL)
    with pytest.raises(ArtifactError, match=r"feature_codes\.pairs"):
        load_model(folder)


@pytest.mark.parametrize("vector_size", [0, 12])
def test_a_loaded_model_has_ranking_vectors_of_the_same_length(tmp_path, vector_size):
    save_model(tmp_path / "saved", random_model(vector_size=vector_size))
    assert load_model(tmp_path / "saved").item_tower.vector_output.shape == (24, vector_size)


@pytest.mark.parametrize("relaxed_users", [False, True])
def test_a_loaded_model_searches_by_the_distance_that_it_was_trained_for(tmp_path, relaxed_users):
    save_model(tmp_path / "saved", random_model(relaxed_users=relaxed_users))
    assert load_model(tmp_path / "saved").is_weighted == relaxed_users


def test_saving_replaces_an_artifact_but_never_other_files(folder, tmp_path):
    before = manifest_sha256(folder)
    save_model(folder, random_model(generation=2))
    assert load_model(folder).generation == 2
    assert manifest_sha256(folder) != before
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(ArtifactError, match="holds other files"):
        save_model(tmp_path / "home", MODEL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gen-1", "home"]


@pytest.fixture(params=["in one step", "in two steps"])
def steps(request, monkeypatch):
    """How a folder takes the place of another: as Linux can, or by two renames as elsewhere."""
    if request.param == "in two steps":
        monkeypatch.setattr("dch.folders._exchange", lambda one, other: False)
    elif not hasattr(ctypes.CDLL(None), "renameat2"):
        pytest.skip("this system cannot exchange two folders in one step")
    return request.param


def content_of(folder):
    """Every path below a folder, with the content of the files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_a_saved_folder_takes_the_place_of_the_one_before_and_leaves_nothing_else(folder, tmp_path, steps):
    save_model(tmp_path / "other", random_model(generation=2, seed=2))
    save_model(folder, random_model(generation=2, seed=2))
    assert content_of(folder) == content_of(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gen-1", "other"]


@pytest.mark.parametrize("renames", [1, 2])
def test_a_rename_that_fails_leaves_the_artifact_of_before(folder, tmp_path, monkeypatch, renames):
    before, rename, calls = content_of(tmp_path), Path.rename, []

    def fail(path, target):
        calls.append(path)
        if len(calls) == renames:
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr("dch.folders._exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ArtifactError, match="cannot be written"):
        Recommender(random_model(generation=2)).save(folder)
    assert len(calls) >= renames
    assert content_of(tmp_path) == before


@pytest.mark.parametrize("is_new", [True, False])
def test_a_full_disk_leaves_no_half_written_file_and_the_error_names_the_path(folder, tmp_path, is_new):
    target = tmp_path / "new" if is_new else folder
    before = content_of(tmp_path)
    with no_room_beyond(500), pytest.raises(ArtifactError) as caught:
        Recommender(random_model(generation=2)).save(target)
    assert str(caught.value).startswith(f"{target}/model.safetensors cannot be written (")
    assert content_of(tmp_path) == before


def test_a_file_in_the_place_of_the_folder_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file", tmp_path / "file" / "gen-1"):
        with pytest.raises(ArtifactError, match=f"{tmp_path}/file.* cannot be written"):
            save_model(target, MODEL)
