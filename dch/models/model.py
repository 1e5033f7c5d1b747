"""A model: two frozen towers, the ids and features they were trained on, and one generation number.

Encoding is pure and out-of-sample: it takes any histories, in which ids that the fit never saw are passed
over, and returns relaxed codes. It stores nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features, tokens
from dch.data.ids import IdTable
from dch.data.ratings import Rows
from dch.errors import CodeShapeError
from dch.models.sums import RunningSums, add_features, sums_of
from dch.models.towers import Floats, TowerWeights, encode_rows


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of one tower's bag: ids of the other side first, then feature tokens of its own side."""

    others: IdTable
    features: IdTable

    def __len__(self) -> int:
        return len(self.others) + len(self.features)

    def of_others(self, ids: IdTable, start: int = 0) -> NDArray[np.int32]:
        """Return the token of each id from row start on, (n,), UNKNOWN for ids the fit never saw."""
        return self.others.rows(ids.ids()[start:])

    def of_features(self, features: Features | None) -> NDArray[np.int32]:
        """Return the known feature tokens of one record."""
        known = self.features.rows(tokens(features or {}))
        found: NDArray[np.int32] = known[known >= 0] + np.int32(len(self.others))
        return found


@dataclass(frozen=True, kw_only=True)
class Model:
    """The weights of one generation and what is needed to use them."""

    generation: int
    user_tower: TowerWeights
    item_tower: TowerWeights

    user_ids: IdTable
    """Users of the training data, by row of the item tower's bag."""

    item_ids: IdTable
    """Items of the training data, by row of the user tower's bag."""

    user_tokens: IdTable = field(default_factory=IdTable)
    item_tokens: IdTable = field(default_factory=IdTable)

    rating_knots: Floats
    """(m, 2) [rating, weight], ratings ascending: the weight of a rating in a bag, linear in between."""

    feature_weight: float = 1.0
    """Weight of each feature token in a bag."""

    positive_from: float = 4.0
    """A rating from here on says that the user liked the item."""

    settings: Mapping[str, object] = field(default_factory=dict)
    """The settings of the fit, for the record."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """What the fit measured, for the record."""

    def __post_init__(self) -> None:
        if self.user_tower.bits != self.item_tower.bits:
            raise CodeShapeError(
                f"the user tower makes {self.user_tower.bits} bits, the item tower {self.item_tower.bits}"
            )
        if self.user_tower.vector_size != self.item_tower.vector_size:
            raise CodeShapeError(
                f"the user tower makes ranking vectors of {self.user_tower.vector_size}, the item tower of "
                f"{self.item_tower.vector_size}"
            )
        for what, tower, vocabulary in (
            ("user", self.user_tower, self.user_vocabulary),
            ("item", self.item_tower, self.item_vocabulary),
        ):
            if len(tower.bag) != len(vocabulary):
                raise CodeShapeError(
                    f"the {what} tower's bag has {len(tower.bag)} rows for {len(vocabulary)} tokens"
                )

    @property
    def bits(self) -> int:
        """Length of a code, in bits."""
        return self.user_tower.bits

    @property
    def user_vocabulary(self) -> Vocabulary:
        """Tokens of the user tower: items, then user features."""
        return Vocabulary(self.item_ids, self.user_tokens)

    @property
    def item_vocabulary(self) -> Vocabulary:
        """Tokens of the item tower: users, then item features."""
        return Vocabulary(self.user_ids, self.item_tokens)

    def encode_users(
        self, histories: Rows, item_ids: IdTable, features: Sequence[Features | None] = ()
    ) -> Floats:
        """Return the relaxed codes of users, seen by the fit or not.

        Args:
            histories: one row per user; columns are rows of item_ids.
            item_ids: the ids behind the columns.
            features: one record per user, or nothing.

        Returns:
            (n, bits) float32, each in (-1, 1).
        """
        return self.encode_users_with_vectors(histories, item_ids, features)[0]

    def encode_users_with_vectors(
        self, histories: Rows, item_ids: IdTable, features: Sequence[Features | None] = ()
    ) -> tuple[Floats, Floats]:
        """Return relaxed codes, (n, bits), and ranking vectors, (n, vector_size), as ``encode_users``."""
        outputs = self._encode(self.user_tower, self.user_vocabulary, histories, item_ids, features)
        return outputs[:, : self.bits], outputs[:, self.bits :]

    def encode_items(
        self, histories: Rows, user_ids: IdTable, features: Sequence[Features | None] = ()
    ) -> Floats:
        """Return the relaxed codes of items, as ``encode_users`` with the sides exchanged."""
        outputs = self._encode(self.item_tower, self.item_vocabulary, histories, user_ids, features)
        return outputs[:, : self.bits]

    def _encode(
        self,
        tower: TowerWeights,
        vocabulary: Vocabulary,
        histories: Rows,
        ids: IdTable,
        features: Sequence[Features | None],
    ) -> Floats:
        sums = sums_of(histories, vocabulary.of_others(ids), tower.bag, self.rating_knots)
        for row, record in enumerate(features):
            self.add_features(sums, row, tower, vocabulary.of_features(record))
        rows = np.arange(len(histories), dtype=np.int32)
        outputs: Floats = encode_rows(rows, sums.sums, sums.squares, sums.n_ratings, tower.head())
        return outputs

    def add_features(
        self, sums: RunningSums, row: int, tower: TowerWeights, found: NDArray[np.int32], sign: int = 1
    ) -> None:
        """Put feature tokens into one bag (sign 1), or take them out again (sign -1)."""
        add_features(sums, row, tower.bag, found, sign * self.feature_weight)
