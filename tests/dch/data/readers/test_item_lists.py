"""Lists of items by user, and ``evaluate`` on a train and a test file of them."""

import gzip

import numpy as np
import pytest
from random_models import random_model

from dch import Ratings
from dch.config import DchConfig
from dch.data.readers.ratings_file import find_ratings_file
from dch.errors import ConfigError, RatingsError
from dch.evaluation import evaluate_fixed_split


def pairs(ratings):
    """Return the pairs of user id and item id, in the order of the rows."""
    users, items = ratings.users.tolist(), ratings.items.tolist()
    return [(ratings.user_ids[user], ratings.item_ids[item]) for user, item in zip(users, items, strict=True)]


def written(path, text):
    path.write_text(text)
    return path


def test_a_line_is_a_user_and_the_items_of_that_user(tmp_path):
    path = written(tmp_path / "train.txt", "0 5 7\n1 7\n\n2\n3 5  9 \r\n")
    ratings = Ratings.read(path)
    assert pairs(ratings) == [("0", "5"), ("0", "7"), ("1", "7"), ("3", "5"), ("3", "9")]
    assert (ratings.values == 1).all()
    assert not ratings.timestamps.any()


def test_it_equals_the_same_ratings_in_columns(tmp_path):
    rng = np.random.default_rng(0)
    items = {f"u{user}": [f"i{item}" for item in rng.permutation(30)[:9]] for user in range(20)}
    lists = "".join(f"{user} {' '.join(of_user)}\n" for user, of_user in items.items())
    columns = "".join(f"{user},{item}\n" for user, of_user in items.items() for item in of_user)
    with gzip.open(tmp_path / "train.txt.gz", "wt") as file:
        file.write(lists)
    ours = Ratings.read(tmp_path / "train.txt.gz")
    theirs = Ratings.read(written(tmp_path / "train.csv", "user,item\n" + columns))
    assert pairs(ours) == pairs(theirs)
    assert np.array_equal(ours.values, theirs.values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1\n1,2,5\n", r"train.txt:2: expected a user and items separated by spaces, found ','; if the"),
        ("0\t1\t5\n", r"train.txt:1: .* found '\\t'"),
        ("1::2::5\n", r"train.txt:1: .* found '::'"),
        ("7\n8\n", "expected lines of a user and items, 'user item item ...', found none"),
    ],
)
def test_another_format_is_refused(tmp_path, text, message):
    with pytest.raises(RatingsError, match=message):
        Ratings.read(written(tmp_path / "train.txt", text))


@pytest.mark.parametrize("option", [{"rating_column": "none"}, {"delimiter": " "}, {"header": False}])
def test_options_for_columns_are_refused(tmp_path, option):
    path = written(tmp_path / "train.txt", "0 1\n")
    with pytest.raises(ConfigError, match=r"train.txt: .* files with columns"):
        Ratings.read(path, **option)


def test_a_folder_never_stands_for_such_a_file(tmp_path):
    for name in ("ratings.csv", "readme.txt"):
        (tmp_path / name).touch()
    assert find_ratings_file(tmp_path).name == "ratings.csv"
    (tmp_path / "ratings.csv").unlink()
    with pytest.raises(RatingsError, match="expected one file of ratings, found none"):
        find_ratings_file(tmp_path)


def test_a_public_split_is_evaluated_as_it_is(tmp_path):
    train = written(tmp_path / "train.txt", "".join(f"u{n} i{n} i{n + 1} i{n + 2}\n" for n in range(5)))
    test = written(tmp_path / "test.txt", "".join(f"u{n} i{n} i{n + 3}\n" for n in range(5)))
    read = Ratings.read(train), Ratings.read(test)
    report = evaluate_fixed_split(
        *read, DchConfig(), relevant_from=0, fit=lambda *_, **__: random_model(n_items=8)
    )
    assert (report.protocol["ratings"], report.protocol["test_ratings"]) == (15, 10)
    assert report.protocol["test_ratings_left_out_because_in_training_too"] == 5
    # i7 of the last user is in no training line, so it cannot be listed; all four other items are found
    recall = {r.strategy: r.mean for r in report.results if r.metric == "recall@20"}
    assert set(recall.values()) == {0.8}
