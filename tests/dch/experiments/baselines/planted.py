"""Ratings that planted codes explain exactly, for the tests of baselines."""

import numpy as np

from dch.data.ratings import Ratings


def ratings_of(matrix, seen=None):
    """Return the observed ratings of a users x items matrix; id u3 is row 3 of the matrix."""
    users, items = np.indices(matrix.shape).reshape(2, -1)
    ids = [f"u{row}" for row in users], [f"i{row}" for row in items]
    ratings = Ratings.from_events(*ids, matrix.ravel())
    return ratings if seen is None else ratings.subset(seen.ravel())


def planted(n_users=40, n_items=30, bits=8, share=0.7, seed=0):
    """Return ratings b . d of random codes, a share of them observed, and the codes of users and items."""
    rng = np.random.default_rng(seed)
    users, items = (np.where(rng.random((n, bits)) < 0.5, -1, 1).astype(np.int8) for n in (n_users, n_items))
    matrix = users.astype(np.float32) @ items.T
    return ratings_of(matrix, rng.random(matrix.shape) < share), users, items
