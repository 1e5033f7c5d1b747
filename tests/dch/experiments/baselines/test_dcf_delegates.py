import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.errors import ConfigError
from dch.experiments.baselines.dcf_delegates import delegates


def random_codes(n, bits, seed):
    return np.where(np.random.default_rng(seed).random((n, bits)) < 0.5, -1, 1).astype(np.int8)


def feasible(n, bits, seed):
    drawn = np.random.default_rng(seed).standard_normal((n, bits))
    return np.sqrt(n) * np.linalg.qr(drawn - drawn.mean(axis=0))[0]


def deficient(kind):
    codes = random_codes(50, 8, 3)
    if kind == "a copy":
        codes[:, 1] = codes[:, 0]
    if kind == "a constant bit":
        codes[:, 2] = 1
    if kind == "one code for all":
        codes[:] = codes[0]
    return codes


@pytest.mark.parametrize("kind", ["full rank", "a copy", "a constant bit", "one code for all"])
def test_delegates_are_balanced_and_decorrelated_whatever_the_rank(kind):
    found = delegates(deficient(kind)).astype(np.float64)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(found.T @ found, 50 * np.eye(8), atol=1e-3)


@pytest.mark.parametrize("kind", ["full rank", "a copy", "a constant bit"])
@given(seed=st.integers(0, 10**6))
def test_no_other_balanced_and_decorrelated_matrix_is_nearer_to_the_codes(kind, seed):
    codes = deficient(kind)
    assert (codes * feasible(50, 8, seed)).sum() <= (codes * delegates(codes)).sum()


def test_delegates_reach_the_bound_of_the_singular_values():
    codes = random_codes(60, 6, 1)
    bound = np.sqrt(60) * np.linalg.svd(codes - codes.mean(axis=0), compute_uv=False).sum()
    assert (codes * delegates(codes)).sum() == pytest.approx(bound, rel=1e-6)


def test_codes_that_are_balanced_and_decorrelated_are_their_own_delegates():
    codes = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.int8)
    np.testing.assert_allclose(delegates(codes), codes, atol=1e-6)


def test_too_few_rows_are_refused_with_what_to_do():
    with pytest.raises(ConfigError, match="more than 8 users and items for 8 bits, got 8; use fewer bits"):
        delegates(random_codes(8, 8, 0))
