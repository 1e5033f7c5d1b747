"""The encoders of one generation: from histories and features to bags, and from bags to codes.

``UserEncoder`` and ``ItemEncoder`` both have ``ServingBags``. They differ in which rows have a code, and when
it is made: that of a user when a list needs it, that of an item when it changes, for the item index.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import IdTable
from dch.models.codes import pack, quantize, to_words
from dch.models.growing_array import GrowingArray
from dch.models.model import Model, Vocabulary
from dch.models.running_sums import RunningSums, add_many_features, bags_of
from dch.models.towers import Floats, Head, Ints, TowerWeights, encode_rows
from dch.state.bag_slots import SlottedBags
from dch.state.fold_in import BagArrays, add_live_ratings
from dch.state.histories import Histories
from dch.state.item_columns import ItemCodes

NO_TOKENS = np.empty(0, np.int32)

Pause = Callable[[], None]
"""Called between two parts of long work; it may raise to give up."""

RATINGS_PER_PART, ROWS_PER_PART = 200_000, 20_000
"""About a quarter of a second of work each."""


def go_on() -> None:
    """Do nothing between two parts."""


class ServingBags:
    """The running sums of the ratings of one side, and its feature tokens, by row of an id table.

    Feature tokens are added when a row is encoded: an item with features and no rating takes no sums. Only
    one thread may write.
    """

    def __init__(
        self, model: Model, tower: TowerWeights, vocabulary: Vocabulary, own_ids: IdTable, other_ids: IdTable
    ) -> None:
        """Create empty bags.

        Args:
            model: the model of the generation.
            tower: the model's tower of this side.
            vocabulary: the tokens of the tower's bag.
            own_ids: ids of this side.
            other_ids: ids of the other side.
        """
        self._model, self._tower, self._vocabulary = model, tower, vocabulary
        self._own_ids, self._other_ids = own_ids, other_ids
        self._bags = SlottedBags(tower.hidden)
        self._tokens = GrowingArray(np.int32)
        self.token_of: Ints = self._tokens.first(0)
        self._features: dict[int, Ints] = {}
        self.reserve()

    @property
    def nbytes(self) -> int:
        """Memory of the sums, in bytes."""
        return self._bags.nbytes

    def reserve(self) -> None:
        """Make room for every id of both tables; kernels never grow arrays."""
        if len(self._own_ids) > self._bags.n_rows:
            self._bags.reserve(len(self._own_ids))
        n_known, n = len(self.token_of), len(self._other_ids)
        if n > n_known:
            tokens = self._tokens.first(n)
            tokens[n_known:] = self._vocabulary.of_others(self._other_ids, n_known)
            self.token_of = tokens

    def fill(self, histories: Histories, features: Mapping[int, Features], pause: Pause = go_on) -> None:
        """Add whole histories and feature records to empty bags; ``pause`` is called now and then."""
        self.reserve()
        live, described = histories.live(), list(features)
        for start in range(0, len(live), RATINGS_PER_PART):
            add_live_ratings(histories.pairs, self.arrays(), live[start : start + RATINGS_PER_PART])
            pause()
        for start in range(0, len(described), ROWS_PER_PART):
            rows = described[start : start + ROWS_PER_PART]
            self.set_features(rows, [features[row] for row in rows])
            pause()

    def set_features(self, rows: Sequence[int], records: Sequence[Features | None]) -> None:
        """Replace the feature tokens of rows, one after the other; None removes them.

        They are kept in ascending order, so the order of the features in a record makes no difference.

        Args:
            rows: (n,) rows, which may repeat.
            records: (n,).
        """
        for row, record in zip(rows, records, strict=True):
            tokens = np.sort(self._vocabulary.of_features(record))
            if len(tokens):
                self._features[row] = tokens
            else:
                self._features.pop(row, None)

    def features_of(self, row: int) -> Ints:
        """Return the rows of the feature tokens in one bag in the table of feature tokens, (n,)."""
        return self._features.get(row, NO_TOKENS) - np.int32(len(self._vocabulary.others))

    def arrays(self) -> BagArrays:
        """Return what kernels need to add ratings here."""
        model = self._model
        bags, embeddings = self._bags, self._tower.bag
        return BagArrays(
            bags.sums, bags.slots, self.token_of, embeddings, model.rating_knots, model.positive_from
        )

    def whole(self, rows: Ints) -> RunningSums:
        """Return the bags of rows with their feature tokens, as a copy of n bags."""
        bags = bags_of(self._bags.sums, self._bags.of(rows))
        self.add_features(bags, rows)
        return bags

    def add_features(self, bags: RunningSums, rows: Ints) -> None:
        """Add the feature tokens of rows, (n,), to copies of their bags of ratings, (n,)."""
        if self._features:
            starts, tokens = self._tokens_of(rows)
            add_many_features(bags, starts, tokens, self._model.feature_weight, self._tower.bag)

    def outputs_by_features(self, rows: Ints) -> Floats:
        """Return what the model's feature codes give for rows, (n, bits + vector_size)."""
        starts, tokens = self._tokens_of(rows)
        first = np.int32(len(self._vocabulary.others))
        return self._model.feature_codes.outputs(starts, tokens - first)

    def _tokens_of(self, rows: Ints) -> tuple[NDArray[np.int64], Ints]:
        """Return the feature tokens of rows, (n,), as compressed rows."""
        found = [self._features.get(row, NO_TOKENS) for row in rows.tolist()]
        starts = np.zeros(len(found) + 1, np.int64)
        np.cumsum([len(tokens) for tokens in found], out=starts[1:])
        return starts, np.concatenate([NO_TOKENS, *found])

    def n_ratings(self, rows: Ints) -> Ints:
        """Return the number of ratings in the bag of each row, (n,)."""
        found: Ints = self._bags.sums.n_ratings[self._bags.of(rows)]
        return found

    def n_rated(self) -> int:
        """Return the number of rows that have a rating in their bag."""
        return int(np.count_nonzero(self._bags.sums.n_ratings))

    def free(self, rows: Ints) -> None:
        """Give the memory of the bags of these rows back. Every rating must have been subtracted."""
        self._bags.free(rows)


class UserEncoder:
    """Encodes users when a list needs their codes; only the bags are kept. Only one thread may write."""

    def __init__(self, model: Model, user_ids: IdTable, item_ids: IdTable) -> None:
        self.tower = model.user_tower
        self.bags = ServingBags(model, model.user_tower, model.user_vocabulary, user_ids, item_ids)
        self.generation = model.generation

    @property
    def nbytes(self) -> int:
        """Memory of the bags, in bytes."""
        return self.bags.nbytes

    def n_codes(self) -> int:
        """Return the number of users that have a code."""
        return self.bags.n_rated()

    def has_code(self, rows: Ints) -> NDArray[np.bool_]:
        """Return which users have a rating of an item in the training data, (n,); the others get no code.

        Features alone are not enough: no fit trains users without ratings. The lifts of their features serve
        such users. Rows past the end have no rating.
        """
        enough: NDArray[np.bool_] = self.bags.n_ratings(rows) > 0
        return enough

    def relaxed(self, rows: Ints) -> Floats:
        """Return the relaxed codes of rows, (n, bits); empty bags have one too."""
        return self._encode(rows, self.tower.code_head())

    def encode(self, rows: Ints) -> tuple[Floats, Floats]:
        """Return the relaxed codes, (n, bits), and the ranking vectors, (n, vector_size), of rows."""
        outputs = self._encode(rows, self.tower.head())
        return outputs[:, : self.tower.bits], outputs[:, self.tower.bits :]

    def _encode(self, rows: Ints, head: Head) -> Floats:
        parts = np.split(rows, range(ROWS_PER_PART, len(rows), ROWS_PER_PART))
        return np.concatenate([_encode(self.bags.whole(part), head) for part in parts])


class ItemEncoder:
    """Encodes items; the item index keeps their codes. Only one thread may write."""

    def __init__(self, model: Model, item_ids: IdTable, user_ids: IdTable) -> None:
        self.generation = model.generation
        self.tower = model.item_tower
        self._has_feature_codes = not model.feature_codes.is_empty
        self.bags = ServingBags(model, model.item_tower, model.item_vocabulary, item_ids, user_ids)

    @property
    def nbytes(self) -> int:
        """Memory of the bags, in bytes."""
        return self.bags.nbytes

    def encode(self, rows: Ints) -> ItemCodes:
        """Return the codes of rows, ready for the item index.

        Items with anything in their bags have one. Those with features and no rating in their bags have it
        by their features, if the model has feature codes.
        """
        bags = self.bags.whole(rows)
        outputs = _encode(bags, self.tower.head())
        if self._has_feature_codes:
            unrated = (bags.n_ratings == 0) & (bags.squares > 0)
            outputs[unrated] = self.bags.outputs_by_features(rows[unrated])
        relaxed, vectors = outputs[:, : self.tower.bits], outputs[:, self.tower.bits :]
        return ItemCodes(to_words(pack(relaxed)), quantize(vectors), bags.n_positive, bags.squares > 0)


def _encode(bags: RunningSums, head: Head) -> Floats:
    every = np.arange(len(bags.squares), dtype=np.int32)
    outputs: Floats = encode_rows(every, bags.sums, bags.squares, bags.n_ratings, head)
    return outputs
