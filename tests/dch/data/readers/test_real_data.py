"""The real data sets have as many users, items and ratings as their publishers state."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from dch import Ratings

COUNTS = [
    ("ml-1m", 6040, 3706, 1_000_209),
    ("ml-100k", 943, 1682, 100_000),
    ("yelp", 13_679, 12_922, 640_143),
    ("amazon-books", 35_150, 33_195, 1_732_060),
    ("amazon-timed", 6170, 2753, 195_791),
]


def counts_of(ratings):
    return len(np.unique(ratings.users)), len(np.unique(ratings.items)), len(ratings)


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "n_users", "n_items", "n_ratings"), COUNTS)
def test_a_data_set_has_the_published_counts(real_data, name, n_users, n_items, n_ratings):
    assert counts_of(Ratings.read(real_data(name))) == (n_users, n_items, n_ratings)


@pytest.mark.realdata
def test_times_are_milliseconds_and_metadata_has_titles(real_data):
    ratings = Ratings.read(real_data("ml-1m"))
    years = ratings.timestamps[[0, -1]].astype("datetime64[ms]").astype("datetime64[Y]").astype(str)
    assert years.tolist() == ["2000", "2003"]
    assert ratings.item_features["1193"]["title"] == "One Flew Over the Cuckoo's Nest (1975)"
    assert ratings.user_features["1"]["occupation"] == 10


@pytest.mark.realdata
def test_both_copies_of_movielens_100k_hold_the_same_ratings(real_data):
    spec = find_spec("recbole")
    if spec is None or spec.origin is None:
        pytest.skip("recbole is not installed; run: pip install --no-deps recbole==1.2.1")
    atomic = Ratings.read(Path(spec.origin).parent / "dataset_example" / "ml-100k")
    plain = Ratings.read(real_data("ml-100k"))
    assert counts_of(atomic) == counts_of(plain)
    events = []
    for ratings in (atomic, plain):
        users, items = (np.array(ids.ids()) for ids in (ratings.user_ids, ratings.item_ids))
        columns = (users[ratings.users], items[ratings.items], ratings.values, ratings.timestamps)
        events.append(set(zip(*(column.tolist() for column in columns), strict=True)))
    assert events[0] == events[1]
    assert {f["title"] for f in atomic.item_features.values()} == {
        f["title"] for f in plain.item_features.values()
    }
