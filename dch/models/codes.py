"""Binary codes and quantized vectors: from tower outputs to packed bytes and words, and back.

One code of ``bits`` bits is ``bits // 8`` bytes, first bit highest. A set of n codes is one array of
n * bits / 8 bytes. Search reads the same bytes as 64-bit words, padded with zero bits. This file knows
nothing of users, items and models.
"""

import numpy as np
from numpy.typing import NDArray

from dch.errors import CodeShapeError, ConfigError

Codes = NDArray[np.uint8]
"""Packed codes, (n, width) or (width,)."""

Words = NDArray[np.uint64]
"""The same codes as little-endian words, (n, n_words) or (n_words,)."""

Vectors = NDArray[np.int8]
"""Quantized ranking vectors, (n, vector_size)."""

MAX_BITS = 256
WORD_BITS = 64

LARGEST = 127
"""Largest element of a quantized ranking vector; the smallest is -127."""


def width(bits: int) -> int:
    """Return the number of bytes of one code.

    Raises:
        ConfigError: bits is not a multiple of 8 from 8 to 256.
    """
    if not 8 <= bits <= MAX_BITS or bits % 8:
        raise ConfigError(f"bits must be a multiple of 8 from 8 to {MAX_BITS}, got {bits}")
    return bits // 8


def n_words(bits: int) -> int:
    """Return the number of 64-bit words of one code."""
    return -(-width(bits) * 8 // WORD_BITS)


def pack(relaxed: NDArray[np.floating]) -> Codes:
    """Take the signs of relaxed codes: a bit is set where the relaxed code is above 0.

    Args:
        relaxed: (n, bits).

    Returns:
        (n, width) uint8.

    Raises:
        ConfigError: bits is not a multiple of 8 from 8 to 256.
    """
    width(relaxed.shape[1])
    return np.packbits(relaxed > 0, axis=1)


def unpack(codes: Codes, bits: int) -> NDArray[np.int8]:
    """Turn codes into signs.

    Args:
        codes: (n, width) uint8.
        bits: length of a code.

    Returns:
        (n, bits) int8, +1 where the bit is set, else -1.

    Raises:
        CodeShapeError: the codes are not ``bits // 8`` bytes wide.
    """
    _check_width(codes, bits)
    signs: NDArray[np.int8] = np.unpackbits(codes, axis=1).astype(np.int8) * 2 - 1
    return signs


def to_words(codes: Codes) -> Words:
    """Pad codes with zero bytes and read them as 64-bit words, which leaves distances as they are.

    Args:
        codes: (n, width) uint8.

    Returns:
        (n, n_words) uint64.

    Raises:
        ConfigError: a code cannot have this width.
    """
    n, code_width = codes.shape
    padded = np.zeros((n, 8 * n_words(8 * code_width)), np.uint8)
    padded[:, :code_width] = codes
    return padded.view("<u8")


def from_words(words: Words, bits: int) -> Codes:
    """Undo ``to_words``.

    Args:
        words: (n, n_words) uint64.
        bits: length of a code.

    Returns:
        (n, width) uint8.

    Raises:
        CodeShapeError: the number of words does not match the bits.
    """
    if words.shape[1] != n_words(bits):
        raise CodeShapeError(f"codes of {bits} bits take {n_words(bits)} words, got {words.shape[1]}")
    codes = np.ascontiguousarray(words, "<u8").view(np.uint8)
    return np.ascontiguousarray(codes[:, : width(bits)])


def quantize(vectors: NDArray[np.float32]) -> Vectors:
    """Round ranking vectors to int8; elements beyond -127 or 127 are clipped.

    Args:
        vectors: (n, vector_size) float32.

    Returns:
        (n, vector_size) int8.
    """
    rounded: Vectors = np.clip(np.rint(vectors), -LARGEST, LARGEST).astype(np.int8)
    return rounded


def _check_width(codes: Codes, bits: int) -> None:
    if codes.shape[1] != width(bits):
        raise CodeShapeError(f"codes of {bits} bits are {width(bits)} bytes wide, got {codes.shape[1]}")
