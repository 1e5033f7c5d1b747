"""The frozen tower against its formula in numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_tower

from dch.errors import ConfigError
from dch.models.running_sums import empty_sums
from dch.models.towers import UNIT, TowerWeights, add_product, add_token, encode_rows, square_of, tanh

HIDDEN, BITS = 24, 16


def by_formula(tower, tokens, weights, n_ratings):
    norm = np.sqrt(np.square(weights).sum())
    x = (np.array(weights) @ tower.bag[tokens].astype(float)) / norm if len(weights) else np.zeros(HIDDEN)
    c = (np.log1p(n_ratings) - 4.0) / 1.5
    h = x + tower.bias + c * tower.count
    h = (h - h.mean()) / np.sqrt(h.var() + 1e-5)
    out = np.tanh(h * tower.gain + tower.shift) @ tower.output + tower.output_bias
    return out / (1 + np.abs(out))


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.1, 0.5, 1.5])), max_size=12))
def test_a_relaxed_code_follows_the_formula(bag):
    tower = random_tower(np.random.default_rng(0), 10, HIDDEN, BITS)
    sums = empty_sums(1, HIDDEN)
    for token, weight in bag:
        add_token(sums.sums[0], tower.bag[token], weight)
        sums.squares[0] += square_of(weight)
        sums.n_ratings[0] += 1
    (relaxed,) = encode_rows(np.zeros(1, np.int32), *sums[:3], tower.head())
    expected = by_formula(tower, [token for token, _ in bag], [weight for _, weight in bag], len(bag))
    np.testing.assert_allclose(relaxed, expected, atol=2e-5)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0.01, 3)), max_size=12), st.randoms(use_true_random=False)
)
def test_subtracting_every_term_in_any_order_gives_exactly_zero(bag, random):
    tower = random_tower(np.random.default_rng(0), 10, HIDDEN, BITS)
    total = np.zeros(HIDDEN, np.int64)
    for token, weight in bag:
        add_token(total, tower.bag[token], weight)
    random.shuffle(bag)
    for token, weight in bag:
        add_token(total, tower.bag[token], -weight)
    assert not total.any()


def test_a_code_does_not_depend_on_its_batch():
    rng = np.random.default_rng(1)
    tower = random_tower(rng, 10, 256, 64)
    sums = empty_sums(40, 256)
    sums.sums[:] = rng.integers(-(2**22), 2**22, sums.sums.shape)
    sums.squares[:] = int(UNIT)
    rows = np.arange(40, dtype=np.int32)
    together = encode_rows(rows, *sums[:3], tower.head())
    one_by_one = [encode_rows(rows[i : i + 1], *sums[:3], tower.head())[0] for i in range(40)]
    assert together.tobytes() == np.array(one_by_one).tobytes()


@given(st.integers(0, 40), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_the_unrolled_product_has_the_bits_of_one_addition_after_the_other(hidden, m, seed):
    rng = np.random.default_rng(seed)
    x, out = rng.normal(size=hidden).astype(np.float32), rng.normal(size=m).astype(np.float32)
    weights = rng.normal(size=(hidden, m + 3)).astype(np.float32)[:, :m]  # a view, as in ``code_head``
    expected = out.copy()
    for term, row in zip(x, weights, strict=True):
        expected += term * row
    add_product(x, weights, out)
    assert out.tobytes() == expected.tobytes()


def test_tanh_is_close_to_the_exact_value_everywhere():
    x = np.linspace(-12, 12, 4001)
    np.testing.assert_allclose([tanh(value) for value in x], np.tanh(x), atol=5e-7)


def test_weights_that_do_not_fit_together_are_refused():
    good = random_tower(np.random.default_rng(0), 10, HIDDEN, BITS)
    parts = [good.bag, good.bias, good.count, good.gain, good.shift, good.output, good.output_bias]
    for at, expected in ((0, "bag has shape"), (1, "bias has shape"), (6, "output_bias has shape")):
        broken = list(parts)
        broken[at] = broken[at][..., :-1]
        with pytest.raises(ConfigError, match=expected):
            TowerWeights(*broken)
