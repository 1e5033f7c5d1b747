"""Queries: the code that is packed elsewhere, and the heavy bits against a sort in Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_models import heavy_bits

from dch.models.codes import from_words, n_words, pack, to_words
from dch.search.query_words import make_queries, weights_of_bits

VALUES = st.sampled_from([-0.5, -0.25, -0.0, 0.0, 0.25, 0.5]) | st.floats(-1, 1, width=32)


@st.composite
def relaxed_codes(draw):
    shape = draw(st.integers(0, 3)), 8 * draw(st.integers(1, 32))
    return draw(hnp.arrays(np.float32, shape, elements=VALUES))


@given(relaxed_codes())
def test_a_plain_query_is_the_packed_code(relaxed):
    assert make_queries(relaxed, is_weighted=False).tolist() == to_words(pack(relaxed)).tolist()


@given(relaxed_codes())
def test_half_of_the_bits_are_heavy_and_equal_values_go_by_their_index(relaxed):
    bits = relaxed.shape[1]
    found = make_queries(relaxed, is_weighted=True)
    codes, heavy = np.split(found, [n_words(bits)], axis=1)
    assert codes.tolist() == to_words(pack(relaxed)).tolist()
    assert np.bitwise_count(heavy).sum(axis=1).tolist() == [bits // 2] * len(relaxed)
    weights = np.unpackbits(from_words(heavy, bits), axis=1) + 1
    assert weights.tolist() == [heavy_bits(one).tolist() for one in relaxed]
    assert weights_of_bits(relaxed).tolist() == weights.tolist()


@given(relaxed_codes(), st.randoms(use_true_random=False))
def test_a_query_does_not_depend_on_the_batch(relaxed, random):
    order = random.sample(range(len(relaxed)), len(relaxed))
    together = make_queries(relaxed, is_weighted=True)
    assert make_queries(relaxed[order], is_weighted=True).tolist() == together[order].tolist()
