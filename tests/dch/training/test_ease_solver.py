"""The solver of EASE against its closed form, computed naively."""

import numpy as np
import pytest
from scipy import sparse

from dch.errors import ConfigError
from dch.training import ease_solver
from dch.training.ease_solver import cost_of, solve_ease


def random_histories(n_users=60, n_items=40):
    rng = np.random.default_rng(0)
    weights = rng.random((n_users, n_items), dtype=np.float32)
    return np.where(rng.random((n_users, n_items)) < 0.3, weights, np.float32(0))


@pytest.mark.parametrize("block", [3, 7, 1024])
def test_the_weights_are_the_closed_form_with_a_diagonal_of_zero(monkeypatch, block):
    monkeypatch.setattr(ease_solver, "BLOCK", block)
    histories = random_histories()
    weights = solve_ease(sparse.csr_matrix(histories), 5.0)
    dense = histories.astype(np.float64)
    inverse = np.linalg.inv(dense.T @ dense + 5.0 * np.eye(dense.shape[1]))
    assert weights == pytest.approx(np.eye(len(inverse)) - inverse / np.diag(inverse), abs=1e-4)
    assert (np.diagonal(weights) == 0).all()


def test_a_matrix_that_cannot_be_inverted_is_refused():
    with pytest.raises(ConfigError, match="the item matrix cannot be inverted; raise regularization"):
        solve_ease(sparse.csr_matrix(random_histories(n_users=6)), 0.0)


def test_the_cost_is_given_in_gigabytes_and_minutes():
    assert cost_of(33_000) == "4.4 GB and about 12.0 minutes"
