"""The data of one side, users or items, and what a feature record or a change of owner does to its rows."""

from collections.abc import Sequence
from typing import NamedTuple

from dch.data.features import Features
from dch.models.towers import Ints
from dch.state.encoder import ServingBags
from dch.state.fold_in import forget, release
from dch.state.histories import Histories


class SideData(NamedTuple):
    """The bags, histories and features of one side.

    Callers hold the lock of ``State``, and have made room for every row.
    """

    bags: ServingBags
    histories: Histories
    features: dict[int, Features]

    def describe_all(self, rows: Sequence[int], records: Sequence[tuple[Features | None, int]]) -> list[int]:
        """Set the features of rows, or forget rows; return the other rows of the forgotten ratings.

        Args:
            rows: (n,) rows, which may repeat.
            records: (n,) features, or None to forget the row, and time in ms up to which it is forgotten.
        """
        self.bags.set_features(rows, [features for features, _ in records])
        gone: list[int] = []
        for row, (features, timestamp_ms) in zip(rows, records, strict=True):
            if features is not None:
                self.features[row] = features
                continue
            self.features.pop(row, None)
            gone += forget(self.histories.pairs, self.bags.arrays(), row, timestamp_ms).tolist()
        return gone

    def release_ratings(self, rows: Ints) -> None:
        """Reset the histories of rows as if they had no events and had never been forgotten."""
        release(self.histories.pairs, self.bags.arrays(), rows)
        self.bags.free(rows)

    def release_features(self, rows: Ints) -> None:
        """Drop the features of rows."""
        for row in rows.tolist():
            self.features.pop(row, None)
        self.bags.set_features(rows.tolist(), [None] * len(rows))
