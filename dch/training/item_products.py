"""The inner products of the columns of a matrix of users and items: all at once, or one item at a time.

All of them take 8 bytes for each pair of items that some user rated both: too many for a catalogue of a
million items. ``RatingsBothWays`` gives the products of one item with all others, and those among a few
items, from the ratings alone. The same numbers are added up in the same order, users ascending, in float32,
so the products are equal to the bit.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import MissingExtraError
from dch.jit import kernel
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


class Products(NamedTuple):
    """The inner products of all pairs of columns, as compressed rows."""

    starts: NDArray[np.int64]  # (n + 1,)
    items: Ints  # (n_products,) ascending in each row
    values: Floats  # (n_products,)
    squares: NDArray[np.float64]  # (n,) of each column with itself


class RatingsBothWays(NamedTuple):
    """The rating weights, as compressed rows of users and as compressed rows of items."""

    user_starts: NDArray[np.int64]  # (n_users + 1,)
    items: Ints  # (n_ratings,) ascending in each row
    user_weights: Floats  # (n_ratings,)
    item_starts: NDArray[np.int64]  # (n + 1,)
    users: Ints  # (n_ratings,) ascending in each row
    item_weights: Floats  # (n_ratings,)
    squares: NDArray[np.float64]  # (n,) of each column with itself


class Scratch(NamedTuple):
    """Arrays that one thread uses again for each item."""

    sums: Floats  # (n,)
    summed_for: Ints  # (n,) the item for which a sum was last begun, -1 before
    last_entry: Ints  # (n_users,) -1 between two calls


def history_matrix(user_bags: TrainingBags) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the rating weights of users and items, a scipy.sparse.csr_matrix.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy import sparse  # type: ignore[import-untyped]
    except ImportError as missing:
        raise MissingExtraError(
            "neighbours need scipy, which is not installed; run: pip install -c constraints.txt '.[fit]'"
        ) from missing
    return sparse.csr_matrix(
        (user_bags.weights, user_bags.tokens, user_bags.starts), shape=(len(user_bags), user_bags.n_other)
    )


def most_products(user_bags: TrainingBags) -> int:
    """Return a bound of the number of products: the pairs within each history, and at most all pairs."""
    lengths = np.diff(user_bags.starts)
    return min(int((lengths * lengths).sum()), user_bags.n_other**2)


def inner_products(user_bags: TrainingBags) -> Products:
    """Return the products of all pairs of items that a user rated both."""
    histories = history_matrix(user_bags)
    gram = (histories.T @ histories).T.tocsr()  # symmetric: the transposed is the same matrix, by rows
    gram.sort_indices()
    return Products(
        gram.indptr.astype(np.int64),
        gram.indices.astype(np.int32, copy=False),
        gram.data.astype(np.float32, copy=False),
        gram.diagonal().astype(np.float64),
    )


def both_ways(user_bags: TrainingBags) -> RatingsBothWays:
    """Return the rating weights by user and by item."""
    by_user = history_matrix(user_bags)
    by_item = by_user.T.tocsr()
    by_item.sort_indices()
    starts = by_item.indptr.astype(np.int64)
    columns = by_user.indptr.astype(np.int64), by_user.indices.astype(np.int32, copy=False), by_user.data
    users = by_item.indices.astype(np.int32, copy=False)
    return RatingsBothWays(*columns, starts, users, by_item.data, _squares(starts, by_item.data))


@kernel
def _squares(starts: NDArray[np.int64], weights: Floats) -> NDArray[np.float64]:
    squares = np.empty(len(starts) - 1, np.float64)
    for item in range(len(squares)):
        total = np.float32(0)
        for weight in weights[starts[item] : starts[item + 1]]:
            total += weight * weight
        squares[item] = total
    return squares


@kernel
def make_scratch(histories: RatingsBothWays) -> Scratch:
    """Return the arrays of one thread: 8 bytes an item, and 4 a user."""
    n, n_users = len(histories.item_starts) - 1, len(histories.user_starts) - 1
    return Scratch(np.zeros(n, np.float32), np.full(n, -1, np.int32), np.full(n_users, -1, np.int32))


@kernel
def products_of(histories: RatingsBothWays, item: int, scratch: Scratch) -> tuple[Ints, Floats]:
    """Return the items that share a user with this one, in any order, and their products with it."""
    sums, summed_for = scratch.sums, scratch.summed_for
    found, n = np.empty(64, np.int32), 0
    for at in range(histories.item_starts[item], histories.item_starts[item + 1]):
        user, weight = histories.users[at], histories.item_weights[at]
        for entry in range(histories.user_starts[user], histories.user_starts[user + 1]):
            other = histories.items[entry]
            if summed_for[other] != item:
                summed_for[other], sums[other] = item, 0
                if n == len(found):
                    found = np.concatenate((found, np.empty(n, np.int32)))
                found[n] = other
                n += 1
            sums[other] += weight * histories.user_weights[entry]
    return found[:n], sums[found[:n]]


@kernel
def products_within(histories: RatingsBothWays, chosen: Ints, scratch: Scratch) -> NDArray[np.float64]:
    """Return the products of these items with each other, (len(chosen), len(chosen)).

    The entries of a user are a list that begins with the latest, so each rating of a chosen item meets those
    of the chosen items before it.
    """
    starts, last_entry = histories.item_starts, scratch.last_entry
    n_entries = (starts[chosen + 1] - starts[chosen]).sum()
    before, columns, weights = (
        np.empty(n_entries, np.int32),
        np.empty(n_entries, np.int32),
        np.empty(n_entries, np.float32),
    )
    sums, n = np.zeros((len(chosen), len(chosen)), np.float32), 0
    for column in range(len(chosen)):
        for at in range(starts[chosen[column]], starts[chosen[column] + 1]):
            user, weight = histories.users[at], histories.item_weights[at]
            before[n], columns[n], weights[n] = last_entry[user], column, weight
            entry = n
            while entry >= 0:
                sums[column, columns[entry]] += weight * weights[entry]
                entry = before[entry]
            last_entry[user] = n
            n += 1
    for item in chosen:
        last_entry[histories.users[starts[item] : starts[item + 1]]] = -1
    return _mirrored(sums)


@kernel
def _mirrored(lower: Floats) -> NDArray[np.float64]:
    whole = lower.astype(np.float64)
    for row in range(len(whole)):
        for column in range(row):
            whole[column, row] = whole[row, column]
    return whole


@kernel
def products_among(products: Products, chosen: Ints) -> NDArray[np.float64]:
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
