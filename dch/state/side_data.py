"""The data of one side, users or items, and what a feature record or a change of owner does to its rows."""

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

    def describe(self, row: int, features: Features | None, timestamp_ms: int) -> list[int]:
        """Set the features of a row, or forget the row; return the other rows of the forgotten ratings."""
        self.bags.set_features(row, features)
        if features is not None:
            self.features[row] = features
            return []
        self.features.pop(row, None)
        gone: list[int] = forget(self.histories.pairs, self.bags.arrays(), row, timestamp_ms).tolist()
        return gone

    def release_ratings(self, rows: Ints) -> None:
        """Reset the histories of rows as if they had no events and had never been forgotten."""
        release(self.histories.pairs, self.bags.arrays(), rows)

    def release_features(self, rows: Ints) -> None:
        """Drop the features of rows."""
        for row in rows.tolist():
            self.features.pop(row, None)
            self.bags.set_features(row, None)
