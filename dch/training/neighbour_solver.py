"""Learn neighbours: for each item the few items whose ratings predict it best, by ridge regression.

EASE regresses the ratings of each item on those of all other items at once, which takes the inverse of a
matrix of n_items x n_items. Here each item is regressed on the SUPPORT items that predict it best alone. The
k with the largest weights are kept, and their weights are solved for once more, so that they make up for what
was left out. Time and memory grow with the pairs of items that some user rated both, not with n_items^2.

Source:
    Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019), Equation 4, with weights of 0
    outside of a support; the support by one step of orthogonal matching pursuit (Pati et al., 1993) for all.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import MissingExtraError
from dch.jit import kernel
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

SUPPORT = 100
"""Items that a regression starts with. With 200 instead, NDCG@20 on held-out ratings of ML-1M is the same."""

REGULARIZATION = 300.0
"""Penalty on the squared weights, for rating weights near 1."""


class Products(NamedTuple):
    """The inner products of the columns of a matrix of users and items, as compressed rows."""

    starts: NDArray[np.int64]  # (n + 1,)
    items: Ints  # (n_products,) ascending in each row
    values: Floats  # (n_products,)
    squares: NDArray[np.float64]  # (n,) of each column with itself


def fit_neighbours(user_bags: TrainingBags, k: int, *, n_threads: int = 1) -> tuple[Ints, Floats]:
    """Return for each item the rows and the weights of at most k items that speak for it, (n, k) each.

    Rows are negative where there are fewer than k. The result does not depend on the number of threads.

    Args:
        user_bags: the histories.
        k: 1 or more.
        n_threads: threads.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    products = inner_products(user_bags)
    n = user_bags.n_other
    rows, weights = np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32)
    edges = np.linspace(0, n, n_threads + 1).astype(int)

    def solve(part: int) -> None:
        _solve(products, edges[part], edges[part + 1], max(k, SUPPORT), REGULARIZATION, rows, weights)

    _, limits = _packages()
    with limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(solve, range(n_threads)))
    return rows, weights


def inner_products(user_bags: TrainingBags) -> Products:
    """Return the products of all pairs of items that a user rated both."""
    histories = history_matrix(user_bags)
    gram = (histories.T @ histories).tocsr()
    gram.sort_indices()
    return Products(
        gram.indptr.astype(np.int64),
        gram.indices.astype(np.int32),
        gram.data.astype(np.float32),
        gram.diagonal().astype(np.float64),
    )


def history_matrix(user_bags: TrainingBags) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the rating weights of users and items, a scipy.sparse.csr_matrix.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    sparse, _ = _packages()
    return sparse.csr_matrix(
        (user_bags.weights, user_bags.tokens, user_bags.starts), shape=(len(user_bags), user_bags.n_other)
    )


def _packages() -> tuple[Any, Any]:
    try:
        from scipy import sparse  # type: ignore[import-untyped]
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError as missing:
        raise MissingExtraError(
            "neighbours need scipy, which is not installed; run: pip install -c constraints.txt '.[fit]'"
        ) from missing
    return sparse, threadpool_limits


@kernel
def _solve(
    products: Products,
    start: int,
    stop: int,
    support: int,
    regularization: float,
    rows: Ints,
    weights: Floats,
) -> None:
    """Write the rows and weights of the items from start up to stop."""
    k = rows.shape[1]
    for item in range(start, stop):
        chosen, product = _best_alone(products, item, support, regularization)
        if len(chosen) == 0:
            continue
        matrix = _products_among(products, chosen)
        for at in range(len(chosen)):
            matrix[at, at] += regularization
        solved = np.linalg.solve(matrix, product)
        if len(chosen) > k:
            kept = np.argsort(-np.abs(solved), kind="mergesort")[:k]
            chosen = chosen[kept]
            solved = np.linalg.solve(np.ascontiguousarray(matrix[kept][:, kept]), product[kept])
        rows[item, : len(chosen)] = chosen
        weights[item, : len(chosen)] = solved


@kernel
def _best_alone(
    products: Products, item: int, support: int, regularization: float
) -> tuple[Ints, NDArray[np.float64]]:
    """Return the items that alone reduce the squared error of this item most, and their products with it."""
    cut = slice(products.starts[item], products.starts[item + 1])
    others, values = products.items[cut], products.values[cut].astype(np.float64)
    gains = values * values / (products.squares[others] + regularization)
    gains[others == item] = -1
    if len(gains) > support:  # sorting all of them would take most of the time
        among = np.flatnonzero(gains >= -np.partition(-gains, support - 1)[support - 1])
        others, values, gains = others[among], values[among], gains[among]
    best = np.argsort(-gains, kind="mergesort")[:support]
    best = best[gains[best] > 0]
    return others[best], values[best]


@kernel
def _products_among(products: Products, chosen: Ints) -> NDArray[np.float64]:
    """Return the products of these items with each other, (len(chosen), len(chosen))."""
    matrix = np.zeros((len(chosen), len(chosen)), np.float64)
    for at in range(len(chosen)):
        cut = slice(products.starts[chosen[at]], products.starts[chosen[at] + 1])
        others, values = products.items[cut], products.values[cut]
        for other in range(at + 1):
            entry = np.searchsorted(others, chosen[other])
            if entry < len(others) and others[entry] == chosen[other]:
                matrix[at, other] = matrix[other, at] = values[entry]
    return matrix
