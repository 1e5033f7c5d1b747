"""The solver of EASE against its closed form, computed naively."""

import numpy as np
import pytest
import torch
from scipy import sparse

from dch.errors import ConfigError
from dch.training import ease_solver
from dch.training.ease_solver import cost_of, gram_matrix, solve_ease


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


def gram_of(histories, regularization):
    gram = gram_matrix(sparse.csr_matrix(histories))
    gram[np.diag_indices_from(gram)] += np.float32(regularization)
    return gram


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))],
)
def test_torch_inverts_like_lapack_and_in_place(device):
    gram = gram_of(random_histories(), 5.0)
    expected = np.linalg.inv(gram.astype(np.float64))
    found = ease_solver._invert_by_torch(gram, device)
    assert found is gram
    assert found == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ConfigError, match="the item matrix cannot be inverted; raise regularization"):
        ease_solver._invert_by_torch(gram_of(random_histories(n_users=6), -5.0), device)


def test_a_graphics_card_inverts_what_fits_into_its_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3 * 4 * 100**2, 10**9))
    assert ease_solver.has_gpu(100)
    assert not ease_solver.has_gpu(101)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not ease_solver.has_gpu(1)


def test_the_cost_is_given_in_gigabytes_and_minutes():
    assert cost_of(33_000) == "4.4 GB and about 12.0 minutes"
