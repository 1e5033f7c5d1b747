"""Distances of a block of codes, for every number of words, against the signs that differ."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_models import hamming

from dch.models.codes import to_words, unpack
from dch.search.scan import block_distances


@st.composite
def code_arrays(draw, n):
    width = draw(st.integers(1, 32))
    # three byte values: equal codes, and so ties, in every run
    return draw(hnp.arrays(np.uint8, (draw(n), width), elements=st.sampled_from([0, 1, 255])))


def distances_to(codes, query):
    distances = np.empty(len(codes), np.uint16)
    smallest = block_distances(to_words(codes).reshape(-1), to_words(query[None])[0], distances)
    assert smallest == distances.min()
    return distances.tolist()


@given(code_arrays(st.just(3)))
def test_the_distance_is_a_metric(codes):
    to_first, to_second, to_third = (distances_to(codes, query) for query in codes)
    assert to_first[0] == 0
    assert (to_first[1] == 0) == np.array_equal(codes[0], codes[1])
    assert to_first[1] == to_second[0]
    assert to_third[0] <= to_second[0] + to_third[1]


@given(code_arrays(st.integers(1, 5)))
def test_the_distance_is_the_number_of_signs_that_differ(codes):
    signs = unpack(codes, 8 * codes.shape[1])
    expected = (signs != signs[0]).sum(axis=1).tolist()
    assert distances_to(codes, codes[0]) == expected
    assert hamming(codes, codes[0]).tolist() == expected
