"""What is known of the items of one generation, as arrays over item rows."""

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.models.codes import Vectors, Words


class ItemColumns(NamedTuple):
    """The arrays of an index over item rows."""

    words: Words  # (n, n_words) codes
    allowed: NDArray[np.uint8]  # (n,) 1 where the item has a code and is available
    precedence: NDArray[np.int64]  # (n,) breaks ties, larger first: see ``precedence_of``
    is_new: NDArray[np.uint8]  # (n,) 1 where the item is not in the training data of the generation
    vectors: Vectors  # (n, vector_size) ranking vectors, by which candidates are reranked
    fitted: NDArray[np.int32]  # (n,) row of the item in the training data, UNKNOWN where the item is new


class ItemCodes(NamedTuple):
    """The codes of some items, one element of each array per item."""

    words: Words  # (n, n_words); arbitrary where the item has no code
    vectors: Vectors  # (n, vector_size)
    popularity: NDArray[np.int32]  # (n,) number of positive ratings
    present: NDArray[np.bool_]  # (n,) whether the item has a code


def chosen(codes: ItemCodes, others: ItemCodes, is_other: NDArray[np.bool_]) -> ItemCodes:
    """Return, of two codes for each of n items, the other where ``is_other``, (n,), is set."""
    return ItemCodes(
        np.where(is_other[:, None], others.words, codes.words),
        np.where(is_other[:, None], others.vectors, codes.vectors),
        np.where(is_other, others.popularity, codes.popularity),
        np.where(is_other, others.present, codes.present),
    )


def precedence_of(id_: str, popularity: int) -> int:
    """Return the number that orders items of equal distance and score: by popularity, then by id.

    Ids are compared by their CRC-32, which is the same on every worker and never changes. Rows would depend
    on the order in which a worker saw the items, and alphabetical ranks would shift with every new item.
    """
    return (popularity << 32) | (0xFFFFFFFF - zlib.crc32(id_.encode()))


def popularity_of(precedence: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the popularity in each precedence, (n,)."""
    return (precedence >> 32).astype(np.int32)


def with_popularity(precedence: NDArray[np.int64], popularity: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the precedences of the same ids with another popularity, (n,). Needs no checksum."""
    return (popularity.astype(np.int64) << 32) | (precedence & 0xFFFFFFFF)
