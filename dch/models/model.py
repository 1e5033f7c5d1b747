"""A model: two frozen towers, the ids and features they were trained on, and a generation number.

Encoding is pure and out-of-sample: it takes any histories, ignores ids that the fit never saw, returns
relaxed codes, and stores nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dch.data.features import Features, tokens
from dch.data.ids import UNKNOWN, IdTable
from dch.data.ratings import Rows
from dch.errors import CodeShapeError
from dch.models.feature_codes import NO_FEATURE_CODES, FeatureCodes, check_feature_codes
from dch.models.lifts import NO_LIFTS, Lifts, check_lifts
from dch.models.neighbours import NO_NEIGHBOURS, Neighbours, check_neighbours
from dch.models.running_sums import RunningSums, add_features, sums_of
from dch.models.towers import Floats, Ints, TowerWeights, encode_rows


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of one tower's bag: first the ids of the other side, then the features of its own side."""

    others: IdTable
    features: IdTable

    def __len__(self) -> int:
        return len(self.others) + len(self.features)

    def of_others(self, ids: IdTable, start: int = 0) -> Ints:
        """Return the token of each id from row ``start`` on, (n,); UNKNOWN for ids the fit never saw."""
        return self.others.rows(ids.ids()[start:])

    def of_features(self, features: Features | None) -> Ints:
        """Return the tokens of one feature record, (n,), without features that the fit never saw."""
        first, row_of = len(self.others), self.features.row
        rows = [row_of(token) for token in tokens(features or {})]
        return np.array([first + row for row in rows if row != UNKNOWN], np.int32)


@dataclass(frozen=True, kw_only=True)
class Model:
    """The weights of one generation, and all that is needed to encode with them."""

    generation: int
    user_tower: TowerWeights
    item_tower: TowerWeights

    user_ids: IdTable
    """Users of the training data, by row of the item tower's bag."""

    item_ids: IdTable
    """Items of the training data, by row of the user tower's bag."""

    user_tokens: IdTable = field(default_factory=IdTable)
    item_tokens: IdTable = field(default_factory=IdTable)

    neighbours: Neighbours = NO_NEIGHBOURS
    """Weights between the items of the training data; an update may have added items that have none."""

    lifts: Lifts = NO_LIFTS
    """Ranks for users of whom only features are known."""

    feature_codes: FeatureCodes = NO_FEATURE_CODES
    """Outputs for items of which only features are known; empty where the item tower encodes these, too."""

    rating_knots: Floats
    """(m, 2) [rating, weight], ratings ascending: the weight of a rating in a bag, linear between knots."""

    feature_weight: float = 1.0
    """Weight of each feature token in a bag."""

    positive_from: float = 4.0
    """Ratings of at least this value are positive."""

    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of the fit, for information only, but for those that ``is_weighted`` reads."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measurements of the fit, for information only."""

    generation_hash: str = ""
    """What tells this model from another of the same generation: the first 12 hexadecimal digits of the
    SHA-256 of the artifact's manifest. Empty unless the model was loaded from an artifact."""

    def __post_init__(self) -> None:
        if self.user_tower.bits != self.item_tower.bits:
            raise CodeShapeError(
                f"the user tower makes codes of {self.user_tower.bits} bits, the item tower of "
                f"{self.item_tower.bits}"
            )
        if self.user_tower.vector_size != self.item_tower.vector_size:
            raise CodeShapeError(
                f"the user tower makes ranking vectors of length {self.user_tower.vector_size}, the item "
                f"tower of length {self.item_tower.vector_size}"
            )
        for what, tower, vocabulary in (
            ("user", self.user_tower, self.user_vocabulary),
            ("item", self.item_tower, self.item_vocabulary),
        ):
            if len(tower.bag) != len(vocabulary):
                raise CodeShapeError(
                    f"the {what} tower's bag has {len(tower.bag)} rows for {len(vocabulary)} tokens"
                )

        check_neighbours(self.neighbours, len(self.item_ids), self.item_tower.vector_size)
        check_lifts(self.lifts, len(self.item_ids), len(self.user_tokens))
        check_feature_codes(
            self.feature_codes, len(self.item_tokens), self.bits + self.item_tower.vector_size
        )

    @property
    def bits(self) -> int:
        """Length of a code, in bits."""
        return self.user_tower.bits

    @property
    def is_weighted(self) -> bool:
        """Whether candidates are the nearest by weighted distance: codes were trained with relaxed users.

        False for models of versions that had no such training.
        """
        return self.settings.get("objective") == "ranking" and self.settings.get("relaxed_users") is True

    @property
    def user_vocabulary(self) -> Vocabulary:
        """Tokens of the user tower's bag: items, then user features."""
        return Vocabulary(self.item_ids, self.user_tokens)

    @property
    def item_vocabulary(self) -> Vocabulary:
        """Tokens of the item tower's bag: users, then item features."""
        return Vocabulary(self.user_ids, self.item_tokens)

    def encode_users(
        self, histories: Rows, item_ids: IdTable, features: Sequence[Features | None] = ()
    ) -> Floats:
        """Return the relaxed codes of users, whether or not the fit saw them.

        Args:
            histories: one row per user; columns are rows of item_ids.
            item_ids: the ids of the columns.
            features: one record or None per user; empty if there are no features.

        Returns:
            (n, bits) float32, each in (-1, 1).
        """
        return self.encode_users_with_vectors(histories, item_ids, features)[0]

    def encode_users_with_vectors(
        self, histories: Rows, item_ids: IdTable, features: Sequence[Features | None] = ()
    ) -> tuple[Floats, Floats]:
        """Return relaxed codes, (n, bits), and ranking vectors, (n, vector_size), as ``encode_users``."""
        sums, tower = self.bags_of_users(histories, item_ids, features), self.user_tower
        rows = np.arange(len(histories), dtype=np.int32)
        outputs = encode_rows(rows, sums.sums, sums.squares, sums.n_ratings, tower.head())
        return outputs[:, : self.bits], outputs[:, self.bits :]

    def bags_of_users(
        self, histories: Rows, item_ids: IdTable, features: Sequence[Features | None] = ()
    ) -> RunningSums:
        """Return the bags of users, whether or not the fit saw them; see ``encode_users``."""
        tower, vocabulary = self.user_tower, self.user_vocabulary
        sums = sums_of(histories, vocabulary.of_others(item_ids), tower.bag, self.rating_knots)
        for row, record in enumerate(features):
            self.add_features(sums, row, tower, vocabulary.of_features(record))
        return sums

    def add_features(
        self, sums: RunningSums, row: int, tower: TowerWeights, feature_tokens: Ints, sign: int = 1
    ) -> None:
        """Add feature tokens to one bag (sign 1), or subtract them (sign -1)."""
        add_features(sums, row, tower.bag, feature_tokens, sign * self.feature_weight)
