import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.data.features import tokens
from dch.data.ratings import Ratings
from dch.training.rating_weights import RatingScale
from dch.training.training_bags import make_training_bags
from dch.training.update_targets import merge_ratings, with_update_targets
from tests.dch.training.data import clusters

SCALE = RatingScale(np.array([[1.0, 0.1], [5.0, 1.5]], np.float32), 4.0)
PAIRS = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), st.tuples(st.booleans(), st.integers(1, 5))
)


def _split(pairs):
    """Split synthetic ratings into old and new ones over the same id tables."""
    users, items = [user for user, _ in pairs], [item for _, item in pairs]
    whole = Ratings.from_events(users, items, [float(value) for _, value in pairs.values()])
    is_given = np.array([given for given, _ in pairs.values()], bool)
    return whole.subset(~is_given), whole.subset(is_given)


def _pairs(ratings):
    return {
        (ratings.user_ids[user], ratings.item_ids[item]): value
        for user, item, value in zip(ratings.users, ratings.items, ratings.values, strict=True)
    }


@given(PAIRS)
def test_merged_ratings_hold_old_and_new_and_mark_the_new_ones(pairs):
    old, new = _split(pairs)
    merged, is_new = merge_ratings(old, new)
    assert _pairs(merged) == _pairs(old) | _pairs(new)
    assert _pairs(merged.subset(is_new)) == _pairs(new)
    assert (np.diff(merged.timestamps) >= 0).all()


def test_a_new_rating_replaces_the_old_one_of_its_pair():
    old = Ratings.from_events(["a", "a"], ["x", "y"], [1.0, 2.0], [10, 20])
    new = old.subset(np.array([True, False]))
    merged, is_new = merge_ratings(old, new)
    assert _pairs(merged) == _pairs(old)
    assert _pairs(merged.subset(is_new)) == {("a", "x"): 1.0}


@given(PAIRS)
def test_update_bags_hold_whole_histories_of_users_with_new_ratings_and_target_only_those(pairs):
    old, new = _split(pairs)
    merged, is_new = merge_ratings(old, new)
    bags, _ = make_training_bags(merged, SCALE, min_token_count=1)
    target_bags = with_update_targets(bags, is_new[np.argsort(merged.users, kind="stable")])
    assert set(target_bags.ids) == {user for user, _ in _pairs(new)}
    items = make_training_bags(merged, SCALE, min_token_count=1)[1].ids
    for row, user in enumerate(target_bags.ids):
        positions = range(target_bags.starts[row], target_bags.starts[row + 1])
        whole = {item: value for (of, item), value in _pairs(merged).items() if of == user}
        assert {items[target_bags.tokens[position]] for position in positions} == set(whole)
        for position in positions:
            item = items[target_bags.tokens[position]]
            value = whole[item]
            assert target_bags.weights[position] == SCALE.weights(np.array([value], np.float32))[0]
            is_target = (user, item) in _pairs(new)
            assert np.isnan(target_bags.values[position]) != is_target
            assert (target_bags.targets[position] > 0) == (is_target and value >= SCALE.positive_from)


def test_users_in_update_bags_keep_their_features():
    ratings = clusters(n_users=12, n_items=8)
    features = {f"u{row}": {"age": f"a{row % 3}"} for row in range(12)}
    ratings = Ratings.from_events(
        [ratings.user_ids[user] for user in ratings.users],
        [ratings.item_ids[item] for item in ratings.items],
        ratings.values,
        user_features=features,
    )
    bags, _ = make_training_bags(ratings, SCALE, min_token_count=1)
    of_odd = np.array([int(ratings.user_ids[user][1:]) % 2 == 1 for user in ratings.users])
    target_bags = with_update_targets(bags, of_odd[np.argsort(ratings.users, kind="stable")])
    assert len(target_bags) == 6
    for row, user in enumerate(target_bags.ids):
        of_row = target_bags.feature_tokens[
            target_bags.feature_starts[row] : target_bags.feature_starts[row + 1]
        ]
        assert [bags.feature_names[token - bags.n_other] for token in of_row] == tokens(features[user])
