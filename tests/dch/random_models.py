"""Small hand-made models for tests: real towers with random weights, no fit."""

from dataclasses import replace

import numpy as np

from dch.data.ids import IdTable
from dch.models.codes import from_words
from dch.models.feature_codes import NO_FEATURE_CODES, FeatureCodes
from dch.models.lifts import NO_LIFTS, Lifts
from dch.models.model import Model
from dch.models.neighbours import NO_NEIGHBOURS, from_columns
from dch.models.towers import TowerWeights

KNOTS = np.array([[1, 0.1], [2, 0.2], [3, 0.5], [4, 1], [5, 1.5]], np.float32)


def hamming(codes, query):
    """Count the bits in which each packed code, (n, width), differs from the query, (width,)."""
    return np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int32)


def heavy_bits(relaxed):
    """Return the weight of each bit of a relaxed code, (bits,): 2 for the clearest half, otherwise 1."""
    clearest = sorted(range(len(relaxed)), key=lambda bit: (-abs(float(relaxed[bit])), bit))
    weights = np.ones(len(relaxed), np.int32)
    weights[clearest[: len(relaxed) // 2]] = 2
    return weights


def weighted_hamming(codes, relaxed):
    """Add up the weights of the bits in which each packed code, (n, width), differs from a relaxed code."""
    differing = np.unpackbits(codes, axis=1) != (relaxed > 0)
    return (differing * heavy_bits(relaxed)).sum(axis=1, dtype=np.int32)


def encode_items(model, histories, user_ids, features=()):
    """Return the relaxed codes of items by their tower: those of users for the model with exchanged sides."""
    exchanged = replace(
        model,
        user_tower=model.item_tower,
        item_tower=model.user_tower,
        user_ids=model.item_ids,
        item_ids=model.user_ids,
        user_tokens=model.item_tokens,
        item_tokens=model.user_tokens,
        feature_codes=NO_FEATURE_CODES,
    )
    return exchanged.encode_users(histories, user_ids, features)


def item_codes(state):
    """Return the packed code, as bytes, of every item that has one, by id."""
    index = state.snapshot.item_index
    rows = index.rows_with_code()
    codes = from_words(index.view().words[rows], index.bits)
    return {
        state.history.item_ids[row]: code.tobytes() for row, code in zip(rows.tolist(), codes, strict=True)
    }


def random_tower(rng, n_tokens, hidden, bits, vector_size=0, vector_scale=0.5):
    shapes = [(n_tokens, hidden), hidden, hidden, hidden, hidden, (hidden, bits), bits]
    parts = [rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]
    shapes = [(hidden, vector_size), vector_size]
    return TowerWeights(*parts, *(rng.normal(0, vector_scale, shape).astype(np.float32) for shape in shapes))


def random_model(
    *,
    n_users=6,
    n_items=8,
    bits=16,
    hidden=24,
    generation=1,
    seed=0,
    user_tokens=(),
    item_tokens=(),
    knots=KNOTS,
    vector_size=12,
    neighbours=NO_NEIGHBOURS,
    lifts=NO_LIFTS,
    feature_codes=NO_FEATURE_CODES,
    relaxed_users=False,
):
    """Users are u0, u1, ..., items i0, i1, ...; the recommender may meet others."""
    rng = np.random.default_rng(seed)
    return Model(
        generation=generation,
        user_tower=random_tower(rng, n_items + len(user_tokens), hidden, bits, vector_size),
        item_tower=random_tower(rng, n_users + len(item_tokens), hidden, bits, vector_size, 10.0),
        user_ids=IdTable(f"u{row}" for row in range(n_users)),
        item_ids=IdTable(f"i{row}" for row in range(n_items)),
        user_tokens=IdTable(user_tokens),
        item_tokens=IdTable(item_tokens),
        rating_knots=knots,
        neighbours=neighbours,
        lifts=lifts,
        feature_codes=feature_codes,
        settings={"objective": "ranking", "relaxed_users": relaxed_users},
    )


def random_feature_codes(n_tokens, size, seed=0):
    """Every second pair of item tokens has a part in outputs of this size."""
    pairs = [(first << 32) | second for first in range(n_tokens) for second in range(first + 1, n_tokens)][
        ::2
    ]
    table = np.random.default_rng(seed).normal(0, 20, (n_tokens + len(pairs) + 1, size))
    return FeatureCodes(np.array(pairs, np.int64), table.astype(np.float32))


def random_lifts(n_items=8, n_tokens=3, seed=0):
    """Every second item has lifts, from a half to twice as liked."""
    items = np.arange(0, n_items, 2, dtype=np.int32)
    return Lifts(items, np.random.default_rng(seed).integers(-22, 23, (n_tokens, len(items))).astype(np.int8))


def random_neighbours(n_items=8, k=3, seed=0, share=1.0):
    """Each item has at most k neighbours among the items i0, i1, ..., some of them against it."""
    rng = np.random.default_rng(seed)
    rows = np.array([rng.permutation(n_items)[:k] for _ in range(n_items)], np.int32)
    rows[rows == np.arange(n_items)[:, None]] = -1  # an item does not speak for itself
    return from_columns(rows, rng.normal(0.1, 0.1, rows.shape).astype(np.float32), share)
