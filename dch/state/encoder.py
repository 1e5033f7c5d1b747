"""One side of one generation: the running sum of every user (or item), and the codes made from them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import IdTable
from dch.jit import kernel
from dch.models.codes import pack, to_words
from dch.models.model import Model, Vocabulary
from dch.models.sums import RunningSums, add_rating, empty_sums, grow_sums, interpolate
from dch.models.towers import Floats, TowerWeights, encode_rows
from dch.state.code_store import CodeStore, quantize
from dch.state.histories import NEVER, NONE, Histories, Pairs, put, slots_of

Ints = NDArray[np.int32]


class Side:
    """Running sums and codes over an id table that generations share. One writer."""

    def __init__(
        self,
        model: Model,
        tower: TowerWeights,
        vocabulary: Vocabulary,
        own_ids: IdTable,
        other_ids: IdTable,
        *,
        is_asked: bool,
    ) -> None:
        """Fill nothing yet.

        Args:
            model: the generation.
            tower: the model's tower of this side.
            vocabulary: of its bag.
            own_ids: ids of this side.
            other_ids: ids of the other side.
            is_asked: True for users, who get lists and need ratings for a code; False for items, which are
                listed and keep their ranking vectors.
        """
        self.model, self.tower, self.vocabulary = model, tower, vocabulary
        self._own_ids, self._other_ids = own_ids, other_ids
        self._is_asked = is_asked
        size = 0 if is_asked else tower.vector_size
        self.store = CodeStore(own_ids, model.bits, model.generation, size)
        self.sums = empty_sums(max(8, len(own_ids)), tower.hidden)
        self.positives = np.zeros(max(8, len(own_ids)), np.int32)
        self.token_of = vocabulary.of_others(other_ids)
        self._features: dict[int, Ints] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of sums and codes."""
        return sum(array.nbytes for array in self.sums) + self.positives.nbytes + self.store.nbytes

    def reserve(self) -> None:
        """Make room for every id that was interned since, on both sides; kernels never grow arrays."""
        n = len(self._own_ids)
        self.sums = grow_sums(self.sums, n)
        if n > len(self.positives):
            more = np.zeros(len(self.sums.squares) - len(self.positives), np.int32)
            self.positives = np.concatenate([self.positives, more])
        if len(self._other_ids) > len(self.token_of):
            new = self.vocabulary.of_others(self._other_ids, len(self.token_of))
            self.token_of = np.concatenate([self.token_of, new])

    def fill(self, histories: Histories, features: Mapping[int, Features]) -> None:
        """Add whole histories and feature records to empty sums, and encode every row that has something."""
        self.reserve()
        sum_live(histories.pairs, self.inputs(), histories.live())
        for row, record in features.items():
            self.set_features(row, record)
        self.encode(np.arange(len(self._own_ids), dtype=np.int32))

    def set_features(self, row: int, features: Features | None) -> None:
        """Replace the feature record of one row; its code changes at the next ``encode``."""
        self.reserve()
        for sign, tokens in (
            (-1, self._features.pop(row, None)),
            (1, self.vocabulary.of_features(features)),
        ):
            if tokens is not None and len(tokens):
                self.model.add_features(self.sums, row, self.tower, tokens, sign)
                if sign == 1:
                    self._features[row] = tokens

    def inputs(self) -> "Inputs":
        """Return what kernels need to add ratings here."""
        return (
            self.sums,
            self.positives,
            self.token_of,
            self.tower.bag,
            self.model.rating_knots,
            self.model.positive_from,
        )

    def relaxed(self, rows: Ints) -> Floats:
        """Return the relaxed codes (n, bits) of rows, empty bags among them."""
        relaxed: Floats = encode_rows(rows, *self.sums, self.tower.code_head())
        return relaxed

    def encoded(self, rows: Ints) -> tuple[Floats, Floats]:
        """Return relaxed codes (n, bits) and ranking vectors (n, vector_size) of rows."""
        outputs: Floats = encode_rows(rows, *self.sums, self.tower.head())
        return outputs[:, : self.tower.bits], outputs[:, self.tower.bits :]

    def has_code(self, rows: Ints) -> NDArray[np.bool_]:
        """Return which rows have enough in their bags for a code.

        An item needs anything at all: fits train items by features alone. A user needs a rating that the fit
        knows: no fit trains users without, and whoever rated nothing is better served with what is popular.
        """
        enough: NDArray[np.bool_] = (
            self.sums.n_ratings[rows] > 0 if self._is_asked else self.sums.squares[rows] > 0
        )
        return enough

    def encode(self, rows: Ints) -> None:
        """Put the codes of these rows into the store, and take out those of empty bags."""
        filled = self.has_code(rows)
        self.store.remove(rows[~filled])
        known = rows[filled]
        if self._is_asked:
            self.store.put(known, to_words(pack(self.relaxed(known))))
        else:
            relaxed, vectors = self.encoded(known)
            self.store.put(known, to_words(pack(relaxed)), quantize(vectors))
        self.store.popularity[known] = self.positives[known]


Inputs = tuple[RunningSums, Ints, Ints, Floats, Floats, float]
"""sums, positives, token_of, bag, rating_knots, positive_from."""


@kernel
def learn(
    pairs: Pairs, inputs: Inputs, own: int, other: int, rating: float, timestamp: int, offset: int
) -> bool:
    """Fold one event into histories and sums; return whether it changed anything. O(hidden)."""
    changed, old = put(pairs, own, other, rating, timestamp, offset)
    if changed:
        apply_rating(inputs, own, other, old, -1)
        apply_rating(inputs, own, other, rating, 1)
    return changed


@kernel
def apply_rating(inputs: Inputs, own: int, other: int, rating: float, sign: int) -> None:
    """Put a rating into the bag of own, or take it out; NaN is no rating."""
    sums, positives, token_of, bag, knots, positive_from = inputs
    if np.isnan(rating):
        return
    if rating >= positive_from:
        positives[own] += sign
    token = token_of[other]
    if token >= 0:
        add_rating(sums, own, bag[token], interpolate(knots, rating), sign)


@kernel
def sum_live(pairs: Pairs, inputs: Inputs, slots: NDArray[np.int64]) -> None:
    """Put every live pair into its bag."""
    for slot in slots:
        apply_rating(inputs, pairs.own[slot], pairs.other[slot], pairs.ratings[slot], 1)


@kernel
def learn_all(
    pairs: Pairs,
    inputs: Inputs,
    own: Ints,
    other: Ints,
    ratings: Floats,
    timestamps: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Fold events in, in order; return which changed anything, (n,)."""
    changed = np.empty(len(own), np.bool_)
    for i in range(len(own)):
        changed[i] = learn(pairs, inputs, own[i], other[i], ratings[i], timestamps[i], offsets[i])
    return changed


@kernel
def forget(pairs: Pairs, inputs: Inputs, own: int, floor: int) -> Ints:
    """Withdraw every rating of one row up to a time, now and for good; return the other rows concerned."""
    pairs.forgotten_before[own] = max(pairs.forgotten_before[own], floor)
    slots = slots_of(pairs, own)
    others = np.empty(len(slots), np.int32)
    n = 0
    for slot in slots:
        if pairs.timestamps[slot] <= floor:
            apply_rating(inputs, own, pairs.other[slot], pairs.ratings[slot], -1)
            pairs.ratings[slot] = np.nan
            others[n] = pairs.other[slot]
            n += 1
    return others[:n]


@kernel
def release(pairs: Pairs, inputs: Inputs, rows: Ints) -> None:
    """Empty these rows as if they had never been seen; their events may come again."""
    for own in rows:
        for slot in slots_of(pairs, own):
            apply_rating(inputs, own, pairs.other[slot], pairs.ratings[slot], -1)
        slot = pairs.newest[own]
        while slot != NONE:
            pairs.ratings[slot] = np.nan
            pairs.timestamps[slot] = NEVER
            pairs.offsets[slot] = NEVER
            slot = pairs.following[slot]
        pairs.forgotten_before[own] = NEVER
