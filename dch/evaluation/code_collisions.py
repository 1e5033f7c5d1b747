"""Whether codes have collapsed: bits that say nothing, bits that say the same, items that share a code."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.models.codes import Codes, from_words, unpack
from dch.state.state import State


class Bits(NamedTuple):
    """How much the bits of a set of codes say."""

    balance_mean: float
    """Mean over bits of abs(mean of the bit as -1 or 1): 0: each is on for half, 1: none varies."""

    balance_max: float
    """The same of the worst bit."""

    correlation_mean: float
    """Mean over pairs of bits of abs(correlation); a bit that never changes correlates with none."""

    correlation_max: float
    """The same of the worst pair."""


class Sharing(NamedTuple):
    """How many items share their code."""

    items: int
    """Items with a code."""

    distinct_codes: int

    largest_group: int
    """Most items that have one code."""

    clashing: float
    """Share of the items that share their code with an item whose set of raters is another."""


class CodeCollisions(NamedTuple):
    """Both sides of one model: the users and items with a rating that it was fitted on."""

    user_bits: Bits
    item_bits: Bits
    item_sharing: Sharing


def measure_code_collisions(state: State, ratings: Ratings) -> CodeCollisions:
    """Measure the codes of whoever has one of these ratings; the state folded them in, and has their rows."""
    bits = state.snapshot.model.bits
    users, items = np.unique(ratings.users), np.unique(ratings.items)
    store, index = state.snapshot.users.store, state.snapshot.item_index
    user_codes = from_words(store.columns.words[users[store.has_code(users)]], bits)
    items = items[index.has_code(items)]
    item_codes = from_words(index.view().words[items], bits)
    sharing = measure_sharing(item_codes, rater_sets(ratings, items))
    return CodeCollisions(measure_bits(user_codes, bits), measure_bits(item_codes, bits), sharing)


def measure_bits(codes: Codes, bits: int) -> Bits:
    """Return balance and pairwise correlation of the bits of (n, width) codes, n at least 1."""
    signs = unpack(codes, bits).astype(np.float64)  # (n, bits), -1 or 1
    means = signs.mean(axis=0)
    covariance = signs.T @ signs / len(signs) - np.outer(means, means)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    scale = np.outer(spread, spread)
    correlation = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)
    pairs = np.abs(correlation[np.triu_indices(bits, 1)])
    balance = np.abs(means)
    return Bits(
        float(balance.mean()),
        float(balance.max()),
        float(pairs.mean()),
        float(min(pairs.max(), 1.0)),
    )


def measure_sharing(codes: Codes, raters: list[bytes]) -> Sharing:
    """Return how many items share their code, and how many of those have other raters.

    Args:
        codes: (n, width) uint8, n at least 1.
        raters: of each item, equal where the sets of raters are: see ``rater_sets``.
    """
    groups = defaultdict(list)
    for code, of in zip(map(bytes, codes), raters, strict=True):
        groups[code].append(of)
    clashing = sum(len(group) for group in groups.values() if len(set(group)) > 1)
    return Sharing(len(codes), len(groups), max(map(len, groups.values())), clashing / len(codes))


def rater_sets(ratings: Ratings, items: NDArray[np.int32]) -> list[bytes]:
    """Return the set of raters of each of these items, as bytes that are equal where the sets are."""
    order = np.lexsort((ratings.users, ratings.items))
    users, starts = ratings.users[order], ratings.by_item.starts
    return [users[starts[item] : starts[item + 1]].tobytes() for item in items.tolist()]
