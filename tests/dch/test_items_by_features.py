"""Items of which only features are known: by feature codes, the same live, folded in, loaded and prepared."""

from dataclasses import replace
from itertools import combinations

import numpy as np
from random_models import random_feature_codes, random_model

from dch import Recommender
from dch.models.codes import pack, quantize, to_words
from dch.models.feature_codes import NO_FEATURE_CODES

NAN = float("nan")
TOKENS = ["genres=Drama", "genres=War", "year=1995"]
WITH_CODES = random_model(item_tokens=TOKENS, feature_codes=random_feature_codes(3, 28))
BY_TOWER = replace(WITH_CODES, feature_codes=NO_FEATURE_CODES)
RECORDS = {
    "by both": {"genres": ["Drama", "War"]},
    "by war": {"genres": ["War", "Unknown"], "title": "A film (1995)"},
    "by nothing known": {"genres": ["Unknown"]},
}


def served(recommender):
    """Return what is served of each item: code, vector and popularity as bytes."""
    recommender.state.refresh_items()
    index, ids = recommender.state.snapshot.item_index, recommender.state.history.item_ids
    return {
        ids[row]: b"".join(column[[0]].tobytes() for column in index.codes(np.array([row], np.int32)))
        for row in index.rows_with_code().tolist()
    }


def described(model, records=RECORDS):
    recommender = Recommender(model)
    for step in range(30):
        recommender.fold_in(f"u{step % 5}", f"i{step * 3 % 8}", 1.0 + step % 5, step)
    for item, record in records.items():
        recommender.state.set_item(item, record)
    return recommender


def by_formula(tokens):
    """Return the served bytes of an item with these rows of TOKENS and no rating."""
    (pairs, table), bits = WITH_CODES.feature_codes, WITH_CODES.bits
    outputs = table[-1:].copy()
    for token in tokens:
        outputs += table[token]
    for pair in combinations(tokens, 2):
        for row in np.flatnonzero(pairs == (pair[0] << 32) | pair[1]):
            outputs += table[len(TOKENS) + row]
    parts = to_words(pack(outputs[:, :bits])), quantize(outputs[:, bits:]), np.zeros(1, np.int32), True
    return b"".join(np.asarray(part).tobytes() for part in parts)


def test_items_without_ratings_are_served_by_their_features_and_all_others_by_the_tower():
    found, by_tower = served(described(WITH_CODES)), served(described(BY_TOWER))
    assert found["by both"] == by_formula([0, 1]) != by_tower["by both"]
    assert found["by war"] == by_formula([1, 2])
    assert "by nothing known" not in found
    rated = [item for item in found if item.startswith("i")]
    assert len(rated) > 5
    assert all(found[item] == by_tower[item] for item in rated)


def test_the_order_of_the_features_makes_no_difference():
    turned = {item: dict(reversed(record.items())) for item, record in RECORDS.items()}
    turned["by both"] = {"genres": ["War", "Drama"]}
    assert served(described(WITH_CODES, turned)) == served(described(WITH_CODES))


def test_a_rating_makes_it_an_item_of_the_tower_until_it_is_withdrawn():
    recommender, by_tower = described(WITH_CODES), described(BY_TOWER)
    before = served(recommender)
    for one in (recommender, by_tower):
        one.fold_in("a stranger", "by both", 5.0, 50)  # the fit never saw this user
    assert served(recommender)["by both"][:20] == before["by both"][:20]  # only the popularity differs
    for one in (recommender, by_tower):
        one.fold_in("u1", "by both", 5.0, 51)
    assert served(recommender)["by both"] == served(by_tower)["by both"]
    recommender.fold_in("u1", "by both", NAN, 52)
    recommender.fold_in("a stranger", "by both", NAN, 52)
    assert served(recommender) == before


def test_live_loaded_and_prepared_items_and_lists_are_the_same(tmp_path):
    live = described(WITH_CODES)
    live.save(tmp_path / "saved")
    loaded, prepared = Recommender.load(tmp_path / "saved"), described(BY_TOWER)
    prepared.swap(prepared.state.prepare(replace(WITH_CODES, generation=2)))
    assert served(live) == served(loaded) == served(prepared)
    for user in ("u1", "u2", "a stranger"):
        assert live.recommend(user, 12) == loaded.recommend(user, 12) == prepared.recommend(user, 12)
    assert live.similar_items("by both") == loaded.similar_items("by both")
    assert "by both" in [hit.item for hit in live.recommend("u1", 12)]
