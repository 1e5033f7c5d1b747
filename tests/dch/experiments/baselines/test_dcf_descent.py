"""The alternating optimisation of DCF: its objective, its steps, and its delegates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dch.errors import ConfigError
from dch.experiments.baselines.dcf_descent import (
    Problem,
    delegates,
    objective,
    relaxed_start,
    signed,
    take_round,
)
from tests.dch.experiments.baselines.planted import planted


def problem_of(seed, alpha=0.5, beta=2.0):
    return Problem.of(planted(share=0.4, seed=seed)[0], alpha, beta)


def fall(problem, solution, rounds):
    """Return the objective at the start and after each step of each round."""
    values = [objective(problem, solution)]
    for _ in range(rounds):
        values += [objective(problem, solution) for _ in take_round(problem, solution)]
    return np.array(values)


@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.0, 0.001, 1.0, 100.0]))
@settings(max_examples=25)
def test_no_step_of_a_round_increases_the_objective(seed, alpha):
    problem = problem_of(seed, alpha, 2 * alpha)
    relaxed = relaxed_start(problem, 8, np.random.default_rng(seed))
    first = fall(problem, relaxed, 5)
    assert (np.diff(first) <= 1e-5 * first[:-1]).all()
    assert first[-1] < 0.7 * first[0]
    codes = fall(problem, signed(problem, relaxed), 5)
    assert (np.diff(codes) <= 1e-6 * codes[:-1]).all()


def test_the_objective_is_the_published_one_up_to_a_constant():
    ratings, users, items = planted(share=0.5)
    problem = Problem.of(ratings, 0.5, 2.0)
    solution = signed(problem, relaxed_start(problem, 8, np.random.default_rng(1)))
    b, d = (own.astype(float) for own in solution.vectors)
    x, y = solution.delegates
    left = ratings.values - (b[ratings.users] * d[ratings.items]).sum(axis=1)
    published = np.square(left).sum() - 2 * 0.5 * np.trace(b.T @ x) - 2 * 2.0 * np.trace(d.T @ y)
    constant = 0.5 * 2 * len(users) * 8 + 2.0 * 2 * len(items) * 8
    assert objective(problem, solution) == pytest.approx(published + constant, rel=1e-5)


def test_the_planted_codes_are_a_minimum_that_the_descent_does_not_leave():
    ratings, users, items = planted()
    problem = Problem.of(ratings, 0.0, 0.0)
    solution = signed(problem, relaxed_start(problem, 8, np.random.default_rng(0)))
    solution.vectors = (users, items)
    assert objective(problem, solution) == 0
    assert sum(take_round(problem, solution)) == 0


def random_codes(n, bits, seed):
    return np.where(np.random.default_rng(seed).random((n, bits)) < 0.5, -1, 1).astype(np.int8)


def feasible(n, bits, seed):
    sampled = np.random.default_rng(seed).standard_normal((n, bits))
    return np.sqrt(n) * np.linalg.qr(sampled - sampled.mean(axis=0))[0]


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
def test_delegates_are_balanced_and_decorrelated_for_codes_of_any_rank(kind):
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


def test_balanced_and_decorrelated_codes_are_their_own_delegates():
    codes = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.int8)
    np.testing.assert_allclose(delegates(codes), codes, atol=1e-6)


def test_too_few_rows_are_refused_with_a_remedy():
    with pytest.raises(ConfigError, match="more than 8 users and items for 8 bits, got 8; use fewer bits"):
        delegates(random_codes(8, 8, 0))
