"""Measure code collisions: unbalanced bits, correlated bits, and items that share a code."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.models.codes import Codes, from_words, pack, unpack
from dch.state.state import State


class BitStatistics(NamedTuple):
    """Balance and correlation of the bits of a set of codes. The field names are JSON keys of experiments."""

    balance_mean: float
    """Mean over bits of abs(mean of the bit as -1 or 1): 0 if each bit is on for half of the codes, 1 if no
    bit varies."""

    balance_max: float
    """The value of the worst bit."""

    correlation_mean: float
    """Mean over pairs of bits of abs(correlation); a bit that never varies correlates with no other."""

    correlation_max: float
    """The value of the worst pair."""


class SharedCodes(NamedTuple):
    """How many items share their code. The field names are JSON keys of experiments."""

    items: int
    """Number of items with a code."""

    distinct_codes: int

    largest_group: int
    """Number of items with the most frequent code."""

    clashing: float
    """Share of the items whose code another item with a different set of raters has, too."""


class CodeCollisions(NamedTuple):
    """The codes of the users and items that a model was fitted on.

    The field names are JSON keys of experiments.
    """

    user_bits: BitStatistics
    item_bits: BitStatistics
    item_sharing: SharedCodes


def measure_code_collisions(state: State, ratings: Ratings) -> CodeCollisions:
    """Measure the codes of the users and items with at least one of these ratings.

    Args:
        state: a state that ``serve`` made from these ratings.
        ratings: the training part.
    """
    bits = state.snapshot.model.bits
    users, items = np.unique(ratings.users), np.unique(ratings.items)
    encoder, index = state.snapshot.users, state.snapshot.item_index
    user_codes = pack(encoder.relaxed(users[encoder.has_code(users)]))
    items = items[index.has_code(items)]
    item_codes = from_words(index.view().words[items], bits)
    shared = measure_shared_codes(item_codes, rater_sets(ratings, items))
    return CodeCollisions(measure_bits(user_codes, bits), measure_bits(item_codes, bits), shared)


def measure_bits(codes: Codes, bits: int) -> BitStatistics:
    """Return the balance and the pairwise correlation of bits.

    Args:
        codes: (n, width) uint8, n at least 1.
        bits: length of a code.
    """
    signs = unpack(codes, bits).astype(np.float64)  # (n, bits), -1 or 1
    means = signs.mean(axis=0)
    covariance = signs.T @ signs / len(signs) - np.outer(means, means)
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0))
    scale = np.outer(deviations, deviations)
    correlation = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)
    pairs = np.abs(correlation[np.triu_indices(bits, 1)])
    balance = np.abs(means)
    return BitStatistics(
        float(balance.mean()),
        float(balance.max()),
        float(pairs.mean()),
        float(min(pairs.max(), 1.0)),
    )


def measure_shared_codes(codes: Codes, raters: list[bytes]) -> SharedCodes:
    """Return how many items share their code, and how many of those have different raters.

    Args:
        codes: (n, width) uint8, n at least 1.
        raters: (n,) the set of raters of each item, see ``rater_sets``.
    """
    groups = defaultdict(list)
    for code, rater_set in zip(map(bytes, codes), raters, strict=True):
        groups[code].append(rater_set)
    clashing = sum(len(group) for group in groups.values() if len(set(group)) > 1)
    return SharedCodes(len(codes), len(groups), max(map(len, groups.values())), clashing / len(codes))


def rater_sets(ratings: Ratings, items: NDArray[np.int32]) -> list[bytes]:
    """Return the set of raters of each of these items as bytes; equal sets have equal bytes."""
    order = np.lexsort((ratings.users, ratings.items))
    users, starts = ratings.users[order], ratings.by_item.starts
    return [users[starts[item] : starts[item + 1]].tobytes() for item in items.tolist()]
