"""Item codes as columns: from decoded records, and as digits for records; and the shape that they share."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.models.codes import to_words
from dch.models.model import Model
from dch.state.item_columns import ItemCodes
from streams.messages import ItemCode

Shape = tuple[int, str, int, int]
"""Generation, its hash, bits and ranking vector size. Only codes of one shape are served together."""

MAX_POPULARITY = 2**31 - 1


def hexadecimal(columns: NDArray[Any]) -> list[str]:
    """Return the bytes of each row of (n, width) as hexadecimal digits, (n,)."""
    width, text = 2 * columns.shape[1] * columns.itemsize, columns.tobytes().hex()
    return (
        [text[at : at + width] for at in range(0, len(columns) * width, width)]
        if width
        else [""] * len(columns)
    )


def columns_of(codes: Iterable[ItemCode], shape: Shape) -> ItemCodes:
    """Return decoded item codes of one shape as columns."""
    _, _, bits, vector_size = shape
    codes = list(codes)
    n = len(codes)
    packed = bytes.fromhex("".join(code.code for code in codes))
    vectors = bytes.fromhex("".join(code.vector for code in codes))
    return ItemCodes(
        words=to_words(np.frombuffer(packed, np.uint8).reshape(n, bits // 8)),
        vectors=np.frombuffer(vectors, np.int8).reshape(n, vector_size),
        popularity=np.array([min(code.positives, MAX_POPULARITY) for code in codes], np.int32),
        present=np.ones(n, np.bool_),
    )


def shape_of(code: ItemCode) -> Shape:
    """Return the shape of one item code."""
    return code.generation, code.generation_hash, 4 * len(code.code), len(code.vector) // 2


def shape_of_model(model: Model) -> Shape:
    """Return the shape of the item codes that a model makes."""
    return model.generation, model.generation_hash, model.bits, model.item_tower.vector_size
