"""Neighbours: rounding to integers, and the weights of a history."""

import numpy as np
import pytest
from random_models import random_model, random_neighbours

from dch.errors import CodeShapeError
from dch.models.neighbours import MAX_STEPS, NO_NEIGHBOURS, RATING_STEPS, from_columns, rated


def dense(neighbours):
    """Return the weights as a matrix from the rated item (row) to the scored item (column), in steps."""
    n = len(neighbours.scales)
    matrix = np.zeros((n, n))
    for source in range(n):
        for at in range(neighbours.starts[source], neighbours.starts[source + 1]):
            item = neighbours.items[at]
            matrix[source, item] = float(neighbours.weights[at]) * float(neighbours.scales[item])
    return matrix


@pytest.mark.parametrize("seed", range(20))
def test_rounded_weights_are_proportional_to_the_weights(seed):
    rng = np.random.default_rng(seed)
    rows = np.array([rng.permutation(20)[:6] for _ in range(20)], np.int32)
    weights = (rng.normal(size=(20, 6)) * rng.uniform(0.01, 1, (20, 1))).astype(np.float32)
    rows[3, 2:], rows[5] = -1, -1
    exact = np.zeros((20, 20))
    for item, (sources, values) in enumerate(zip(rows, weights, strict=True)):
        for source, value in zip(sources, values, strict=True):
            if source >= 0:
                exact[source, item] = value
    found = dense(from_columns(rows, weights))
    found *= np.abs(exact).max() / np.abs(found).max()
    steps = np.abs(exact).max(axis=0) / 127  # one step of each scored item
    assert (np.abs(found - exact) <= 0.52 * steps + 1e-4).all()


def test_items_without_weights_make_no_neighbours():
    found = from_columns(np.full((4, 3), -1, np.int32), np.zeros((4, 3), np.float32))
    assert found.is_empty
    assert found.starts.tolist() == [0] * 5


def test_a_history_has_integer_weights_and_leaves_out_what_the_fit_never_saw():
    knots = np.array([[1, 0.0], [3, 0.5], [5, 9.0]], np.float32)
    found = rated(np.array([4, -1, 2, 7], np.int32), np.array([3, 5, 1, 5], np.float32), knots)
    assert found.items.tolist() == [4, 7]
    assert found.weights.tolist() == [RATING_STEPS // 2, MAX_STEPS]


@pytest.mark.parametrize(
    "change",
    [
        {"starts": np.array([0, 1], np.int64)},
        {"items": np.full(1, 8, np.int32)},
        {"share": np.zeros(2, np.float32)},
        {"scales": np.zeros(9, np.uint16)},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change):
    with pytest.raises(CodeShapeError, match="neighbours do not fit together"):
        random_model(neighbours=random_neighbours()._replace(**change))


def test_neighbours_of_a_rated_item_out_of_order_are_refused():
    neighbours = random_neighbours()
    at = int(np.diff(neighbours.starts).argmax())
    of_one = slice(neighbours.starts[at], neighbours.starts[at + 1])
    items = neighbours.items.copy()
    items[of_one] = items[of_one][::-1]
    with pytest.raises(CodeShapeError, match="not in ascending order"):
        random_model(neighbours=neighbours._replace(items=items))


def test_neighbours_need_ranking_vectors():
    with pytest.raises(CodeShapeError, match="neighbours need a model with ranking vectors"):
        random_model(vector_size=0, neighbours=random_neighbours())
    assert random_model(vector_size=0).neighbours is NO_NEIGHBOURS
