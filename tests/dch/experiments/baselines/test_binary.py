"""Codes as signs, and scores by products of codes."""

import numpy as np

from dch.experiments.baselines.binary import BinaryScorer, has_code, to_codes


def test_codes_are_signs_with_zero_positive_and_a_row_with_a_nan_has_no_code():
    relaxed = np.array([[0.3, -0.1, 0.0], [np.nan, 1.0, 1.0]], np.float32)
    codes = to_codes(relaxed)
    assert codes.tolist() == [[1, -1, 1], [0, 0, 0]]
    assert codes.dtype == np.int8
    assert has_code(codes).tolist() == [True, False]


def test_a_score_is_the_number_of_bits_minus_twice_the_distance():
    rng = np.random.default_rng(0)
    users, items = (to_codes(rng.standard_normal((n, 16)).astype(np.float32)) for n in (5, 7))
    asked = np.array([4, 0], np.int32)
    distances = (users[asked][:, None] != items[None]).sum(axis=2)
    scores = BinaryScorer(users, items)(asked)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, 16 - 2 * distances)


def test_users_and_items_without_a_code_score_minus_infinity():
    users, items = np.ones((2, 4), np.int8), np.ones((3, 4), np.int8)
    users[0], items[1] = 0, 0
    scores = BinaryScorer(users, items)(np.array([0, 1], np.int32))
    assert np.isneginf(scores[0]).all()
    assert scores[1].tolist() == [4, -np.inf, 4]
