import numpy as np
import pytest

from dch.config import DchConfig
from dch.errors import RatingsError
from dch.training.rating_weights import infer_scale


def _ratings(*values):
    return np.array(values, np.float32)


def test_on_one_to_five_a_four_is_liked_and_weighs_one():
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


def test_equal_ratings_are_all_liked_and_weigh_one():
    scale = infer_scale(_ratings(1, 1), DchConfig(), graded=True)
    assert (scale.positive_from, scale.weights(_ratings(1)).tolist()) == (1.0, [1.0])


def test_binary_weights_are_one_and_targets_are_one_for_liked_ratings_only():
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
