"""Two-stage hashing: codes by medians and by a rotation, of fitted and of new vectors."""

import numpy as np
import pytest

from dch.experiments.baselines.binary import has_code
from dch.experiments.baselines.ials import fit_ials
from dch.experiments.baselines.two_stage import fit_itq, fit_median
from tests.dch.experiments.baselines.blocks import cut, nothing, share_in_own_block, two_blocks

RATINGS = two_blocks()
TRAIN, GIVEN, NEW_USERS, NEW_ITEMS = cut(RATINGS)


@pytest.fixture(scope="module")
def real():
    return fit_ials(TRAIN, factors=8, alpha=5.0, regularization=1.0, graded=True)


def both(real):
    return fit_median(TRAIN, real), fit_itq(TRAIN, real, bits=8)


def test_a_median_bit_is_on_for_half_of_the_known_users_and_items(real):
    scorer = fit_median(TRAIN, real).fold_in(nothing(TRAIN))
    for codes in (scorer.users, scorer.items):
        assert abs(codes[has_code(codes)].mean(axis=0)).max() <= 1 / has_code(codes).sum()


def test_new_vectors_are_thresholded_at_the_medians_of_the_fit(real):
    fitted = fit_median(TRAIN, real)
    users, items = real.vectors(GIVEN)
    scorer = fitted.fold_in(GIVEN)
    assert np.array_equal(scorer.users > 0, users >= fitted.medians[0])
    assert np.array_equal(scorer.items > 0, items >= fitted.medians[1])
    assert np.array_equal(fitted.medians[1], np.median(real.items[~NEW_ITEMS], axis=0))


def test_the_rotation_brings_unit_vectors_nearer_to_their_signs(real):
    fitted = fit_itq(TRAIN, real, bits=8)
    np.testing.assert_allclose(fitted.rotation.T @ fitted.rotation, np.eye(8), atol=1e-4)
    users, _ = real.vectors(nothing(TRAIN))
    known = users[~NEW_USERS] / np.linalg.norm(users[~NEW_USERS], axis=1, keepdims=True)
    assert np.abs(known @ fitted.rotation).sum() > np.abs(known).sum()


def test_a_code_may_have_more_bits_than_there_are_factors(real):
    assert fit_itq(TRAIN, real, bits=16).fold_in(GIVEN).items.shape == (RATINGS.n_items, 16)


def test_known_and_new_users_prefer_their_own_block(real):
    everyone = np.arange(RATINGS.n_users, dtype=np.int32)
    for fitted in both(real):
        assert share_in_own_block(fitted.fold_in(GIVEN)(everyone), RATINGS) > 0.9


def test_users_and_items_without_ratings_have_no_code(real):
    for fitted in both(real):
        scorer = fitted.fold_in(nothing(TRAIN))
        assert np.array_equal(has_code(scorer.users), ~NEW_USERS)
        assert np.array_equal(has_code(scorer.items), ~NEW_ITEMS)
