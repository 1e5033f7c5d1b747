"""Distances of a block of codes, for every number of words, against the signs that differ."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_models import hamming

from dch.models.codes import to_words, unpack
from dch.search.distances import block_distances, count_below, fits_bytes, least

NO_MASK = np.empty(0, np.uint8)


@st.composite
def code_arrays(draw, n):
    width = draw(st.integers(1, 32))
    # three byte values: equal codes, and so ties, in every run
    return draw(hnp.arrays(np.uint8, (draw(n), width), elements=st.sampled_from([0, 1, 255])))


def distances_to(codes, query, allowed=NO_MASK):
    words = to_words(codes)
    distances = np.empty(len(codes), np.uint8 if fits_bytes(words.shape[1]) else np.uint16)
    block_distances(words.reshape(-1), to_words(query[None])[0], allowed, distances)
    assert least(distances) == distances.min()
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


@given(code_arrays(st.integers(1, 5)), st.randoms(use_true_random=False))
def test_a_row_that_is_not_allowed_is_farther_than_any_code(codes, random):
    allowed = np.array([random.random() < 0.5 for _ in codes], np.uint8)
    masked, plain = distances_to(codes, codes[0], allowed), distances_to(codes, codes[0])
    for is_allowed, distance, without_mask in zip(allowed, masked, plain, strict=True):
        assert distance == without_mask if is_allowed else distance in (255, 65535)


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), st.integers(0, 70)), st.integers(0, 255))
def test_distances_below_a_limit_are_counted(distances, limit):
    assert count_below(distances, limit) == (distances < limit).sum()
