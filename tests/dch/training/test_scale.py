import numpy as np
import pytest

from dch.config import DchConfig
from dch.errors import RatingsError
from dch.training.scale import read_scale


def _ratings(*values):
    return np.array(values, np.float32)


def test_on_one_to_five_a_four_is_liked_and_weighs_one():
    scale = read_scale(_ratings(1, 2, 3, 4, 5), DchConfig(), graded=True)
    assert scale.positive_from == 4.0
    assert scale.weights(_ratings(0, 1, 2, 3, 3.5, 4, 5, 9)) == pytest.approx(
        [0.1, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 1.5]
    )
    assert scale.targets(_ratings(1, 3, 4, 5)) == pytest.approx([0, 0, 1, 1.5])


def test_on_another_scale_the_places_are_the_same():
    scale = read_scale(_ratings(*range(1, 11)), DchConfig(), graded=True)
    assert scale.positive_from == 8.0
    assert scale.weights(_ratings(1, 10)) == pytest.approx([0.1, 1.5])


def test_where_all_ratings_are_equal_each_is_liked_and_weighs_one():
    scale = read_scale(_ratings(1, 1), DchConfig(), graded=True)
    assert (scale.positive_from, scale.weights(_ratings(1)).tolist()) == (1.0, [1.0])


def test_binary_weights_are_one_for_each_rating_and_targets_for_liked_ones():
    scale = read_scale(_ratings(1, 3, 5), DchConfig(), graded=False)
    assert scale.weights(_ratings(1, 3, 5)).tolist() == [1, 1, 1]
    assert scale.targets(_ratings(1, 3, 5)).tolist() == [0, 0, 1]


def test_settings_override_what_is_found():
    config = DchConfig(positive_from=2.0, rating_knots=((1.0, 0.0), (3.0, 2.0)))
    scale = read_scale(_ratings(1, 2, 3), config, graded=True)
    assert scale.targets(_ratings(1, 2, 3)).tolist() == [0, 1, 2]


def test_a_threshold_that_no_rating_reaches_is_an_error_that_names_both():
    with pytest.raises(
        RatingsError, match=r"no rating is liked: the highest is 3, positive_from is 4; lower"
    ):
        read_scale(_ratings(1, 3), DchConfig(positive_from=4.0), graded=True)
