"""An artifact saved by version 849d7d5 still loads and gives the same codes and lists.

``tests/fixtures/saved-at-849d7d5`` holds the artifact and what that version answered from it: 60 users, 40
items, features, a withdrawn rating, a forgotten user, a hidden item, a removed item and a user folded in.
"""

import json
from pathlib import Path

import pytest

from dch import Recommender

SAVED = Path(__file__).parents[1] / "fixtures" / "saved-at-849d7d5"
EXPECTED = json.loads((SAVED / "expected.json").read_text())


@pytest.fixture(scope="module")
def recommender():
    return Recommender.load(SAVED / "artifact")


@pytest.mark.parametrize("user", EXPECTED["user_codes"])
def test_a_user_has_the_same_code(recommender, user):
    code = recommender.user_code(user)
    assert (code and code.hex()) == EXPECTED["user_codes"][user]


@pytest.mark.parametrize("question", EXPECTED["lists"])
def test_a_list_has_exactly_the_same_items_and_scores(recommender, question):
    user, strategy = question.split()
    hits = recommender.recommend(user, k=5, strategy=strategy)
    assert [[hit.item, hit.distance, hit.score] for hit in hits] == EXPECTED["lists"][question]


def test_its_candidates_are_the_nearest_by_plain_distance(recommender):
    assert not recommender.model.is_weighted


def test_similar_items_are_the_same(recommender):
    hits = recommender.similar_items("i0", k=5)
    assert [[hit.item, hit.distance, hit.score] for hit in hits] == EXPECTED["similar to i0"]


def test_saving_again_writes_the_same_model_under_the_same_names(recommender, tmp_path):
    recommender.save(tmp_path / "again")
    before, after = (
        json.loads((folder / "manifest.json").read_text())
        for folder in (SAVED / "artifact", tmp_path / "again")
    )
    assert after["settings"] == before["settings"]
    assert after["files"]["model.safetensors"] == before["files"]["model.safetensors"]
    assert after.keys() == before.keys()
