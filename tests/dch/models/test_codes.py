"""Codes: packing, and reading as words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dch.errors import CodeShapeError, ConfigError
from dch.models.codes import from_words, n_words, pack, to_words, unpack, width

ALL_BITS = st.integers(1, 32).map(lambda bytes_: 8 * bytes_)
SMALL = st.integers(0, 12)


@st.composite
def code_arrays(draw, n=SMALL):
    code_width = draw(st.integers(1, 32))
    # three byte values: equal codes, and so ties, in every run
    return draw(hnp.arrays(np.uint8, (draw(n), code_width), elements=st.sampled_from([0, 1, 255])))


@given(code_arrays())
def test_unpack_then_pack_is_identity(codes):
    assert np.array_equal(pack(unpack(codes, 8 * codes.shape[1]).astype(np.float32)), codes)


def test_the_first_bit_is_the_highest_and_zero_is_not_set():
    relaxed = np.array([[0.1, 0, -0.5, 0, 0, 0, 0, 0.9]], np.float32)
    assert pack(relaxed).tolist() == [[0b10000001]]


@given(code_arrays())
def test_to_words_then_from_words_is_identity(codes):
    bits = 8 * codes.shape[1]
    words = to_words(codes)
    assert words.shape == (len(codes), n_words(bits))
    assert np.array_equal(from_words(words, bits), codes)


@pytest.mark.parametrize("bits", [0, 4, 60, 264, -8])
def test_an_invalid_length_is_refused(bits):
    with pytest.raises(ConfigError, match=f"bits must be a multiple of 8 from 8 to 256, got {bits}"):
        width(bits)


def test_codes_of_another_width_are_refused():
    codes = np.zeros((2, 2), np.uint8)
    with pytest.raises(CodeShapeError, match="codes of 64 bits are 8 bytes wide, got 2"):
        unpack(codes, 64)
    with pytest.raises(CodeShapeError, match="codes of 128 bits take 2 words, got 1"):
        from_words(to_words(codes), 128)
