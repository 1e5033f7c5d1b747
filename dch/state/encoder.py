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
from dch.models.running_sums import GrowingSums, add_many_features
from dch.models.towers import Floats, Ints, TowerWeights, encode_rows
from dch.state.fold_in import BagArrays, add_live_ratings
from dch.state.histories import Histories
from dch.state.item_index import ItemCodes

NO_TOKENS = np.empty(0, np.int32)

Pause = Callable[[], None]
"""Called between two parts of long work; it may raise to give up."""

RATINGS_PER_PART, ROWS_PER_PART = 200_000, 20_000
"""About a quarter of a second of work each."""


def go_on() -> None:
    """Do nothing between two parts."""


class ServingBags:
    """The running sums of one side, by row of an id table. Only one thread may write."""

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
        self._sums = GrowingSums(tower.hidden)
        self.sums = self._sums.first(max(8, len(own_ids)))
        self._tokens = GrowingArray(np.int32)
        self.token_of: Ints = self._tokens.first(0)
        self._features: dict[int, Ints] = {}
        self.reserve()

    @property
    def nbytes(self) -> int:
        """Memory of the sums, in bytes."""
        return sum(array.nbytes for array in self.sums)

    def reserve(self) -> None:
        """Make room for every id of both tables; kernels never grow arrays."""
        if len(self._own_ids) > len(self.sums.squares):
            self.sums = self._sums.first(len(self._own_ids))
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
        """Replace the feature tokens in bags, one after the other; None removes them.

        Args:
            rows: (n,) rows, which may repeat.
            records: (n,).
        """
        self.reserve()
        changes: list[tuple[int, Ints, float]] = []
        for row, record in zip(rows, records, strict=True):
            old, new = self._features.pop(row, None), self._vocabulary.of_features(record)
            if old is not None:
                changes.append((row, old, -self._model.feature_weight))
            if len(new):
                changes.append((row, new, self._model.feature_weight))
                self._features[row] = new
        if changes:
            self._add(changes)

    def _add(self, changes: Sequence[tuple[int, Ints, float]]) -> None:
        rows, tokens, weights = zip(*changes, strict=True)
        starts = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(part) for part in tokens], out=starts[1:])
        add_many_features(
            self.sums,
            np.array(rows, np.int32),
            starts,
            np.concatenate(tokens),
            np.array(weights, np.float64),
            self._tower.bag,
        )

    def features_of(self, row: int) -> Ints:
        """Return the rows of the feature tokens in one bag in the table of feature tokens, (n,)."""
        return self._features.get(row, NO_TOKENS) - np.int32(len(self._vocabulary.others))

    def arrays(self) -> BagArrays:
        """Return what kernels need to add ratings here."""
        model = self._model
        return BagArrays(self.sums, self.token_of, self._tower.bag, model.rating_knots, model.positive_from)


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
        return int(np.count_nonzero(self.bags.sums.n_ratings > 0))

    def has_code(self, rows: Ints) -> NDArray[np.bool_]:
        """Return which users have a rating of an item in the training data, (n,); the others get no code.

        Features alone are not enough: no fit trains users without ratings. The lifts of their features serve
        such users. Rows past the end have no rating.
        """
        n_ratings = self.bags.sums.n_ratings
        enough: NDArray[np.bool_] = (rows < len(n_ratings)) & (n_ratings.take(rows, mode="clip") > 0)
        return enough

    def relaxed(self, rows: Ints) -> Floats:
        """Return the relaxed codes of rows, (n, bits); empty bags have one too."""
        return _encode_rows(rows, self.bags, self.tower, with_vectors=False)

    def encode(self, rows: Ints) -> tuple[Floats, Floats]:
        """Return the relaxed codes, (n, bits), and the ranking vectors, (n, vector_size), of rows."""
        outputs = _encode_rows(rows, self.bags, self.tower)
        return outputs[:, : self.tower.bits], outputs[:, self.tower.bits :]


class ItemEncoder:
    """Encodes items; the item index keeps their codes. Only one thread may write."""

    def __init__(self, model: Model, item_ids: IdTable, user_ids: IdTable) -> None:
        self.generation = model.generation
        self.tower = model.item_tower
        self.bags = ServingBags(model, model.item_tower, model.item_vocabulary, item_ids, user_ids)

    @property
    def nbytes(self) -> int:
        """Memory of the bags, in bytes."""
        return self.bags.nbytes

    def has_code(self, rows: Ints) -> NDArray[np.bool_]:
        """Return which items have anything in their bags, (n,); fits train items by features alone, too."""
        enough: NDArray[np.bool_] = self.bags.sums.squares[rows] > 0
        return enough

    def encode(self, rows: Ints) -> ItemCodes:
        """Return the codes of rows, ready for the item index."""
        outputs = _encode_rows(rows, self.bags, self.tower)
        relaxed, vectors = outputs[:, : self.tower.bits], outputs[:, self.tower.bits :]
        return ItemCodes(
            to_words(pack(relaxed)), quantize(vectors), self.bags.sums.n_positive[rows], self.has_code(rows)
        )


def _encode_rows(rows: Ints, bags: ServingBags, tower: TowerWeights, *, with_vectors: bool = True) -> Floats:
    head = tower.head() if with_vectors else tower.code_head()
    sums = bags.sums
    outputs: Floats = encode_rows(rows, sums.sums, sums.squares, sums.n_ratings, head)
    return outputs
