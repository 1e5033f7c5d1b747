"""Learn neighbours: for each item the few items whose ratings predict it best, by ridge regression.

EASE regresses the ratings of each item on those of all other items at once, which takes the inverse of a
matrix of n_items x n_items. Here each item is regressed on the SUPPORT items that predict it best alone. The
k with the largest weights are kept, and their weights are solved for once more, so that they make up for what
was left out. Time grows with the pairs of items that some user rated both, not with n_items^2, and memory
with the ratings. Where items have many ratings, the products of these pairs are held in memory if they fit.

Source:
    Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019), Equation 4, with weights of 0
    outside of a support; the support by one step of orthogonal matching pursuit (Pati et al., 1993) for all.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.training.item_products import (
    Products,
    RatingsBothWays,
    both_ways,
    inner_products,
    make_scratch,
    most_products,
    products_among,
    products_of,
    products_within,
)
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Doubles = NDArray[np.float64]

SUPPORT = 100
"""Items that a regression starts with. With 200 instead, NDCG@20 on held-out ratings of ML-1M is the same."""

REGULARIZATION = 30.0
"""Penalty on the squared weights, for rating weights near 1. With 300, NDCG@20 on held-out ratings is lower
by .011 on Amazon books and .002 on ML-1M, and equal on Yelp; with 10, it is lower on Yelp."""

MANY_RATINGS = 64
"""With more ratings an item than this, on average, all inner products are made at once. With fewer, it takes
less time to add up those of each item when its turn comes: 14 instead of 31 s for 60,000 items of 16 ratings,
5 instead of 7 s on Yelp (35), 21 instead of 27 on Amazon books (37), but 45 instead of 7 on ML-1M (184)."""

MAX_PRODUCTS = 2**30
"""Most inner products that are held in memory, 8.6 GB: those of any 32,000 items."""


def fit_neighbours(
    user_bags: TrainingBags,
    k: int,
    *,
    products: Products | RatingsBothWays | None = None,
    n_threads: int = 1,
) -> tuple[Ints, Floats]:
    """Return for each item the rows and the weights of at most k items that speak for it, (n, k) each.

    Rows are negative where there are fewer than k. The result does not depend on the number of threads.

    Args:
        user_bags: the histories.
        k: 1 or more.
        products: what ``products_for`` returns for these histories, if it is needed more than once.
        n_threads: threads.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    products = products_for(user_bags) if products is None else products
    n = user_bags.n_other
    rows, weights = np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32)
    edges = np.linspace(0, n, n_threads + 1).astype(int)

    def solve(part: int) -> None:
        wanted = edges[part], edges[part + 1], max(k, SUPPORT), REGULARIZATION, rows, weights
        if isinstance(products, Products):
            _solve(products, *wanted)
        else:
            _solve_one_by_one(products, *wanted)

    with _one_blas_thread(), ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(solve, range(n_threads)))
    return rows, weights


def products_for(user_bags: TrainingBags) -> Products | RatingsBothWays:
    """Return all inner products, or what they are made of. Both give the same weights, to the bit."""
    has_many = len(user_bags.tokens) > MANY_RATINGS * user_bags.n_other
    if has_many and most_products(user_bags) <= MAX_PRODUCTS:
        return inner_products(user_bags)
    return both_ways(user_bags)


def _one_blas_thread() -> Any:  # noqa: ANN401 - threadpoolctl has no types
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(limits=1, user_api="blas")


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
    for item in range(start, stop):
        cut = slice(products.starts[item], products.starts[item + 1])
        gained = products.items[cut], products.values[cut], products.squares
        chosen, product = _best_alone(item, *gained, support, regularization)
        if len(chosen):
            _regress(
                products_among(products, chosen), chosen, product, regularization, rows[item], weights[item]
            )


@kernel
def _solve_one_by_one(
    histories: RatingsBothWays,
    start: int,
    stop: int,
    support: int,
    regularization: float,
    rows: Ints,
    weights: Floats,
) -> None:
    """Do the same without all products at once."""
    scratch = make_scratch(histories)
    for item in range(start, stop):
        others, values = products_of(histories, item, scratch)
        chosen, product = _best_alone(item, others, values, histories.squares, support, regularization)
        if len(chosen):
            matrix = products_within(histories, chosen, scratch)
            _regress(matrix, chosen, product, regularization, rows[item], weights[item])


@kernel
def _best_alone(
    item: int, others: Ints, values: Floats, squares: Doubles, support: int, regularization: float
) -> tuple[Ints, Doubles]:
    """Return the items that alone reduce the squared error of this item most, and their products with it.

    Args:
        item: the item.
        others: (m,) items, in any order; of equal gains the lower row counts more.
        values: (m,) their products with the item.
        squares: (n,) the products of all items with themselves.
        support: most items.
        regularization: penalty on the squared weights.
    """
    doubles = values.astype(np.float64)
    gains = doubles * doubles / (squares[others] + regularization)
    gains[others == item] = -1
    among = np.arange(len(gains))
    if len(gains) > support:  # sorting all of them would take most of the time
        among = np.flatnonzero(gains >= -np.partition(-gains, support - 1)[support - 1])
    among = among[np.argsort(others[among])]
    best = among[np.argsort(-gains[among], kind="mergesort")[:support]]
    best = best[gains[best] > 0]
    return others[best], doubles[best]


@kernel
def _regress(
    matrix: Doubles, chosen: Ints, product: Doubles, regularization: float, rows: Ints, weights: Floats
) -> None:
    """Write the rows and weights of one item, (k,) each, found by regression on the chosen items.

    Args:
        matrix: (m, m) the products of the chosen items with each other, which are overwritten.
        chosen: (m,) rows of items.
        product: (m,) their products with the item.
        regularization: penalty on the squared weights.
        rows: (k,) written.
        weights: (k,) written.
    """
    for at in range(len(chosen)):
        matrix[at, at] += regularization
    solved = np.linalg.solve(matrix, product)
    if len(chosen) > len(rows):
        kept = np.argsort(-np.abs(solved), kind="mergesort")[: len(rows)]
        chosen = chosen[kept]
        solved = np.linalg.solve(np.ascontiguousarray(matrix[kept][:, kept]), product[kept])
    rows[: len(chosen)] = chosen
    weights[: len(chosen)] = solved
