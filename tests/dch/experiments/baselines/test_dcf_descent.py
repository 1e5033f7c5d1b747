import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dch.experiments.baselines.dcf_descent import Problem, objective, relaxed_start, signed, take_round
from tests.dch.experiments.baselines.planted import planted


def problem_of(seed, alpha=0.5, beta=2.0):
    return Problem.of(planted(share=0.4, seed=seed)[0], alpha, beta)


def fall(problem, solution, rounds):
    """The objective at first and after each part of each round."""
    values = [objective(problem, solution)]
    for _ in range(rounds):
        values += [objective(problem, solution) for _ in take_round(problem, solution)]
    return np.array(values)


@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.0, 0.001, 1.0, 100.0]))
@settings(max_examples=25)
def test_no_part_of_a_round_raises_the_objective(seed, alpha):
    problem = problem_of(seed, alpha, 2 * alpha)
    relaxed = relaxed_start(problem, 8, np.random.default_rng(seed))
    first = fall(problem, relaxed, 5)
    assert (np.diff(first) <= 1e-5 * first[:-1]).all()
    assert first[-1] < 0.7 * first[0]
    codes = fall(problem, signed(problem, relaxed), 5)
    assert (np.diff(codes) <= 1e-6 * codes[:-1]).all()


def test_the_objective_is_the_published_one_but_for_a_constant():
    ratings, users, items = planted(share=0.5)
    problem = Problem.of(ratings, 0.5, 2.0)
    solution = signed(problem, relaxed_start(problem, 8, np.random.default_rng(1)))
    b, d = (own.astype(float) for own in solution.vectors)
    x, y = solution.delegates
    left = ratings.values - (b[ratings.users] * d[ratings.items]).sum(axis=1)
    published = np.square(left).sum() - 2 * 0.5 * np.trace(b.T @ x) - 2 * 2.0 * np.trace(d.T @ y)
    constant = 0.5 * 2 * len(users) * 8 + 2.0 * 2 * len(items) * 8
    assert objective(problem, solution) == pytest.approx(published + constant, rel=1e-5)


def test_hidden_codes_are_a_floor_that_the_descent_does_not_leave():
    ratings, users, items = planted()
    problem = Problem.of(ratings, 0.0, 0.0)
    solution = signed(problem, relaxed_start(problem, 8, np.random.default_rng(0)))
    solution.vectors = (users, items)
    assert objective(problem, solution) == 0
    assert sum(take_round(problem, solution)) == 0
