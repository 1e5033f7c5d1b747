import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dch.data.ratings import Ratings
from dch.training.scale import Scale
from dch.training.training_bags import make_training_bags
from dch.training.update_targets import join, with_update_targets
from tests.dch.training.data import clusters

SCALE = Scale(np.array([[1.0, 0.1], [5.0, 1.5]], np.float32), 4.0)
PAIRS = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), st.tuples(st.booleans(), st.integers(1, 5))
)


def _in_two(pairs):
    """Split made-up ratings into old and new over the same tables."""
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
def test_joined_ratings_are_both_and_say_which_are_new(pairs):
    old, new = _in_two(pairs)
    joined, is_new = join(old, new)
    assert _pairs(joined) == _pairs(old) | _pairs(new)
    assert _pairs(joined.subset(is_new)) == _pairs(new)
    assert (np.diff(joined.timestamps) >= 0).all()


def test_a_given_rating_replaces_the_old_one_of_its_pair():
    old = Ratings.from_events(["a", "a"], ["x", "y"], [1.0, 2.0], [10, 20])
    new = old.subset(np.array([True, False]))
    joined, is_new = join(old, new)
    assert _pairs(joined) == _pairs(old)
    assert _pairs(joined.subset(is_new)) == {("a", "x"): 1.0}


@given(PAIRS)
def test_a_focused_side_holds_whole_bags_of_users_with_something_new_and_fits_that_alone(pairs):
    old, new = _in_two(pairs)
    joined, is_new = join(old, new)
    side, _ = make_training_bags(joined, SCALE, min_token_count=1)
    focus = with_update_targets(side, is_new[np.argsort(joined.users, kind="stable")])
    assert set(focus.ids) == {user for user, _ in _pairs(new)}
    items = make_training_bags(joined, SCALE, min_token_count=1)[1].ids
    for row, user in enumerate(focus.ids):
        places = range(focus.starts[row], focus.starts[row + 1])
        whole = {item: value for (of, item), value in _pairs(joined).items() if of == user}
        assert {items[focus.tokens[at]] for at in places} == set(whole)
        for at in places:
            item = items[focus.tokens[at]]
            value = whole[item]
            assert focus.weights[at] == SCALE.weights(np.array([value], np.float32))[0]
            is_target = (user, item) in _pairs(new)
            assert np.isnan(focus.values[at]) != is_target
            assert (focus.targets[at] > 0) == (is_target and value >= SCALE.positive_from)


def test_the_features_of_focused_rows_are_theirs():
    ratings = clusters(n_users=12, n_items=8)
    features = {f"u{row}": {"age": f"a{row % 3}"} for row in range(12)}
    ratings = Ratings.from_events(
        [ratings.user_ids[user] for user in ratings.users],
        [ratings.item_ids[item] for item in ratings.items],
        ratings.values,
        user_features=features,
    )
    side, _ = make_training_bags(ratings, SCALE, min_token_count=1)
    of_odd = np.array([int(ratings.user_ids[user][1:]) % 2 == 1 for user in ratings.users])
    focus = with_update_targets(side, of_odd[np.argsort(ratings.users, kind="stable")])
    assert len(focus) == 6
    for row, user in enumerate(focus.ids):
        of_row = focus.feature_tokens[focus.feature_starts[row] : focus.feature_starts[row + 1]]
        assert [side.feature_names[token - side.n_other] for token in of_row] == [
            f"age={features[user]['age']}"
        ]
