"""Lifts order items for a user by features alone."""

import numpy as np
import pytest

from dch.models.lifts import LIFT_STEPS, Lifts

POPULARITY = np.array([7, 0, 99], np.int32)
FITTED = np.array([2, -1, 5], np.int32)


def test_a_score_is_the_logarithm_of_the_popularity_and_the_damped_sum_of_the_lifts():
    lifts = Lifts(np.array([1, 2], np.int32), np.array([[0, 16], [9, -48], [3, 8]], np.int8))
    scores = lifts.scores(np.array([0, 1]), FITTED, POPULARITY)
    expected = np.log1p([7.0, 0.0, 99.0])
    expected[0] += (16 - 48) / LIFT_STEPS / np.sqrt(2)
    assert scores == pytest.approx(expected)


def test_without_items_with_lifts_the_order_is_that_of_popularity():
    lifts = Lifts(np.empty(0, np.int32), np.empty((3, 0), np.int8))
    assert lifts.known(np.array([0, 2, 3])).tolist() == [0, 2]
    scores = lifts.scores(np.array([0, 2]), FITTED, POPULARITY)
    assert scores == pytest.approx(np.log1p([7.0, 0.0, 99.0]))
