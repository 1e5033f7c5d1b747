"""A fixed split is measured as it is: items that cannot be found count, trained pairs do not."""

import csv

import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.data.splits import holdout
from dch.evaluation import evaluate_fixed_split
from dch.evaluation.fixed_split import with_common_ids
from dch.evaluation.holdout import measure_holdout
from tests.dch.evaluation.stand_in import random_fit, random_ratings

CONFIG = DchConfig(bits=16, hidden=16)


def test_both_parts_get_common_id_tables_and_keep_their_ids():
    train = Ratings.from_events(["a", "b"], ["x", "y"], [1, 2], item_features={"x": {"title": "X"}})
    test = Ratings.from_events(["c", "b"], ["y", "z"], [3, 4], item_features={"z": {"title": "Z"}})
    joined, moved = with_common_ids(train, test)
    assert joined.users.tolist() == train.users.tolist()
    assert [moved.user_ids[row] for row in moved.users] == ["c", "b"]
    assert [moved.item_ids[row] for row in moved.items] == ["y", "z"]
    assert joined.n_items == 3
    assert set(joined.item_features) == {"x", "z"}


def test_relevant_from_zero_counts_every_test_rating():
    train, test = random_ratings(seed=1), random_ratings(seed=2, n_users=30)
    report = evaluate_fixed_split(train, test, CONFIG, relevant_from=0, fit=random_fit)
    pairs = {tuple(pair) for pair in np.stack([train.users, train.items], 1).tolist()}
    train_ids, fresh = set(train.user_ids), set()
    for user, item in zip(test.users, test.items, strict=True):
        pair = train.user_ids.row(test.user_ids[user]), train.item_ids.row(test.item_ids[item])
        if test.user_ids[user] in train_ids and pair not in pairs:
            fresh.add(test.user_ids[user])
    assert {result.users for result in report.results} == {len(fresh)}
    assert {result.case for result in report.results} == {"EUEI"}
    assert report.protocol["test_ratings_of_users_not_in_training"] > 0
    assert report.protocol["test_ratings_left_out_because_in_training_too"] > 0


def test_a_relevant_item_outside_the_training_file_counts_as_missed():
    train = Ratings.from_events(["a", "b", "b"], ["x", "x", "y"], [5, 5, 5])
    test = Ratings.from_events(["a", "a"], ["y", "nowhere"], [5, 5])
    report = evaluate_fixed_split(train, test, CONFIG, fit=random_fit)
    recalls = {result.mean for result in report.results if result.metric == "recall@20"}
    assert recalls == {0.5}


def test_a_hold_out_split_written_to_files_gives_the_same_values(tmp_path):
    whole = random_ratings(4000, n_users=80, n_items=70)
    parts = holdout(whole, np.random.default_rng(0))
    model = random_fit(parts.train, CONFIG)
    is_known = (parts.train.by_user.counts() > 0)[parts.test.users]
    is_known &= (parts.train.by_item.counts() > 0)[parts.test.items]
    for name, part in (("train", parts.train), ("test", parts.test.subset(is_known))):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["user", "item", "rating"])
            for row in np.random.default_rng(1).permutation(len(part)):  # so that ids get other rows
                lines.writerow(
                    [part.user_ids[part.users[row]], part.item_ids[part.items[row]], part.values[row]]
                )
    train, test = Ratings.read(tmp_path / "train.csv"), Ratings.read(tmp_path / "test.csv")
    report = evaluate_fixed_split(train, test, CONFIG, relevant_from=4.0, fit=lambda *_, **__: model)
    expected_by_key = measure_holdout(model, parts, 4.0)
    found = {(result.strategy, result.metric): result.mean for result in report.results}
    expected = {
        (key.strategy, key.metric): one.mean for key, one in expected_by_key.items() if key.case == "EUEI"
    }
    assert len(expected) >= 6
    assert found == pytest.approx(expected)
