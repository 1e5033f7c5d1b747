import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import RatingsError
from dch.training.fit import fit_model
from dch.training.rating_weights import describe, infer_scale, oddities


def _ratings(*values):
    return np.array(values, np.float32)


def test_on_one_to_five_a_four_is_positive_and_weighs_one():
    scale = infer_scale(_ratings(1, 2, 3, 4, 5), DchConfig(), graded=True)
    assert scale.positive_from == 4.0
    assert scale.weights(_ratings(0, 1, 2, 3, 3.5, 4, 5, 9)) == pytest.approx(
        [0.1, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 1.5]
    )
    assert scale.targets(_ratings(1, 3, 4, 5)) == pytest.approx([0, 0, 1, 1.5])


def test_another_scale_has_the_same_weights_at_the_same_fractions():
    scale = infer_scale(_ratings(*range(1, 11)), DchConfig(), graded=True)
    assert scale.positive_from == 8.0
    assert scale.weights(_ratings(1, 10)) == pytest.approx([0.1, 1.5])


def test_equal_ratings_are_all_positive_and_weigh_one():
    scale = infer_scale(_ratings(1, 1), DchConfig(), graded=True)
    assert (scale.positive_from, scale.weights(_ratings(1)).tolist()) == (1.0, [1.0])


def test_binary_weights_are_one_and_targets_are_one_for_positive_ratings_only():
    scale = infer_scale(_ratings(1, 3, 5), DchConfig(), graded=False)
    assert scale.weights(_ratings(1, 3, 5)).tolist() == [1, 1, 1]
    assert scale.targets(_ratings(1, 3, 5)).tolist() == [0, 0, 1]


def test_settings_override_the_inferred_scale():
    config = DchConfig(positive_from=2.0, rating_knots=((1.0, 0.0), (3.0, 2.0)))
    scale = infer_scale(_ratings(1, 2, 3), config, graded=True)
    assert scale.targets(_ratings(1, 2, 3)).tolist() == [0, 1, 2]


def test_a_threshold_above_all_ratings_is_an_error_that_names_both_values():
    with pytest.raises(
        RatingsError, match=r"no rating is positive: the highest is 3, positive_from is 4; lower"
    ):
        infer_scale(_ratings(1, 3), DchConfig(positive_from=4.0), graded=True)


STARS = np.tile(_ratings(1, 2, 3, 4, 4, 5), 200)
USERS = np.repeat(np.arange(120, dtype=np.int32), 10)


def _same(one, other):
    return one.positive_from == other.positive_from and np.array_equal(one.knots, other.knots)


@pytest.mark.parametrize("odd", [(50,), (-40,), (50, -1, 1e30), (0,), (100,) * 12])
@pytest.mark.parametrize("graded", [True, False])
def test_odd_values_of_few_ratings_or_of_one_user_never_move_the_scale(odd, graded):
    values = np.append(STARS, _ratings(*odd)).astype(np.float32)
    users = np.append(USERS, np.full(len(odd), 7, np.int32))
    found = infer_scale(values, DchConfig(), graded=graded, users=users)
    assert _same(found, infer_scale(STARS, DchConfig(), graded=graded, users=USERS))


def test_odd_values_are_named():
    values, users = np.append(STARS, _ratings(50)), np.append(USERS, np.int32(3))
    assert oddities(values, users) == [
        "1 of 1,201 ratings lie far outside of the scale 1 to 5 that others use, such as 50; "
        "they count as its ends"
    ]
    assert oddities(STARS, USERS) == []


def test_a_rare_level_that_one_percent_of_the_users_use_belongs_to_the_scale():
    values, users = STARS.copy(), USERS
    values[[0, 10]] = 0.5  # two of 120 users
    assert infer_scale(values, DchConfig(), graded=True, users=users).knots[0, 0] == 0.5


def test_continuous_ratings_go_from_quantile_to_quantile():
    values = np.random.default_rng(0).uniform(-10, 10, 5000).astype(np.float32)
    scale = infer_scale(np.append(values, _ratings(9e9)), DchConfig(), graded=True)
    assert scale.knots[[0, -1], 0] == pytest.approx([-9.8, 9.8], abs=0.1)
    assert scale.positive_from == pytest.approx(4.9, abs=0.1)


def _counts(kind):
    rng = np.random.default_rng(1)
    return {
        "plays": np.ceil(rng.lognormal(2.2, 1.6, 1200)),
        "hours": rng.lognormal(1.5, 2, 1200),
        "purchases": rng.geometric(0.85, 1200),
        "many": np.ceil(rng.lognormal(2, 1.3, 1200)),
        "with zeros": np.where(rng.random(1200) < 0.3, 0, np.ceil(rng.lognormal(2.2, 1.6, 1200))),
    }[kind].astype(np.float32)


@pytest.mark.parametrize("kind", ["plays", "hours", "purchases", "many", "with zeros"])
def test_counts_are_all_positive_and_weighted_by_rank(kind):
    values = _counts(kind)
    scale = infer_scale(values, DchConfig(), graded=True, users=USERS)
    assert 0 < scale.positive_from <= np.quantile(values[values > 0], 0.02)
    assert (np.diff(scale.knots, axis=0) > 0).all()
    weights = scale.weights(np.sort(values))
    assert (np.diff(weights) >= 0).all()
    assert 0.1 <= weights.min() < weights.max() <= 1.5
    assert "counts" in oddities(values, USERS)[0]


@pytest.mark.parametrize(
    "share", [[0.7, 0.15, 0.05, 0.05, 0.05], [0.05, 0.1, 0.8, 0.04, 0.01], [0.45, 0.05, 0, 0.05, 0.45]]
)
def test_ratings_that_are_mostly_low_or_in_the_middle_are_a_scale(share):
    values = np.random.default_rng(2).choice(np.arange(1, 6), 1200, p=share).astype(np.float32)
    expected = infer_scale(STARS, DchConfig(), graded=True, users=USERS)
    assert _same(infer_scale(values, DchConfig(), graded=True, users=USERS), expected)


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        (
            np.tile(_ratings(*range(7, 36)), 9),
            "taken as a scale from 7 to 35; if these are counts, --rating-column none",
        ),
        (_ratings(1, 2, 3, 4, 5), None),
        (_ratings(*range(-20, 21)), None),
        (_ratings(50, 50), None),
        (_counts("plays"), None),
    ],
)
def test_a_scale_that_may_be_counts_of_a_narrow_range_is_said_to_be_taken_as_one(values, hint):
    said = describe(infer_scale(values, DchConfig(), graded=True), values)
    assert hint in said if hint else said.endswith(" up")


def test_a_threshold_of_the_settings_is_said_without_a_guess_about_counts():
    values = np.tile(_ratings(*range(7, 36)), 9)
    scale = infer_scale(values, DchConfig(positive_from=7.0), graded=True)
    assert describe(scale, values) == "261 of 261 ratings are positive: those from 7 up"


def test_the_fit_says_which_ratings_are_positive_and_how_many(caplog):
    caplog.set_level("INFO")
    items = np.tile(np.arange(10), 120)
    ratings = Ratings.from_events([*USERS, 5], [*items, 77], np.append(STARS, 50))
    config = DchConfig(bits=8, hidden=8, steps=2, objective="rating", early_stopping=False)
    model = fit_model(ratings, config)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("dch.training")]
    assert said[0].startswith("1 of 1,201 ratings lie far outside of the scale 1 to 5")
    assert said[1] == "601 of 1,201 ratings are positive: those from 4 up"
    assert model.positive_from == 4.0
    assert describe(infer_scale(STARS, DchConfig(), graded=True), STARS).startswith("600 of 1,200")
