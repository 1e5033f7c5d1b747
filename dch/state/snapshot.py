"""A snapshot: one model and the two sides it filled, of one generation."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import IdTable
from dch.errors import GenerationMismatchError
from dch.models.model import Model
from dch.state.encoder import Side
from dch.state.histories import Histories
from dch.state.item_index import CatalogueKeeper


@dataclass(frozen=True)
class Snapshot:
    """What requests are answered from. Readers take it once per request and may keep it during a swap."""

    model: Model
    users: Side
    items: Side
    catalogue: CatalogueKeeper

    def __post_init__(self) -> None:
        for what, side in (("user codes", self.users), ("item codes", self.items)):
            if side.store.generation != self.model.generation:
                raise GenerationMismatchError(
                    f"{what} are of generation {side.store.generation}, the model is of "
                    f"{self.model.generation}; encode them again with the model"
                )

    @property
    def nbytes(self) -> int:
        """Bytes of sums and codes of both sides."""
        return self.users.nbytes + self.items.nbytes


@dataclass(frozen=True)
class History:
    """What is known of users and items, whatever the generation. Grows in place; one writer."""

    user_ids: IdTable
    item_ids: IdTable
    user_histories: Histories
    item_histories: Histories
    user_features: dict[int, Features]
    item_features: dict[int, Features]
    unavailable: set[int]

    @classmethod
    def empty(cls) -> "History":
        """Return an empty history."""
        return cls(IdTable(), IdTable(), Histories(), Histories(), {}, {}, set())

    def reserve(self, n_events: int) -> None:
        """Make room in both histories for this many new pairs and for every interned id."""
        self.user_histories.reserve(n_events, len(self.user_ids))
        self.item_histories.reserve(n_events, len(self.item_ids))

    @property
    def nbytes(self) -> int:
        """Bytes of both histories."""
        return self.user_histories.nbytes + self.item_histories.nbytes


class Saved(NamedTuple):
    """A history as it is saved; rows are places in the lists of ids."""

    user_ids: list[str]
    item_ids: list[str]
    users: NDArray[np.int32]  # (n,) pairs, oldest event first
    items: NDArray[np.int32]  # (n,)
    values: NDArray[np.float32]  # (n,) NaN where withdrawn
    timestamps: NDArray[np.int64]  # (n,)
    user_forgotten_before: NDArray[np.int64]  # (n_users,) events up to this time are forgotten
    item_forgotten_before: NDArray[np.int64]  # (n_items,)
    user_features: dict[str, Features]
    item_features: dict[str, Features]


def prepare(model: Model, history: History) -> Snapshot:
    """Encode everything known with a model, beside whatever is being served."""
    history.reserve(0)
    user_ids, item_ids = history.user_ids, history.item_ids
    users = Side(model, model.user_tower, model.user_vocabulary, user_ids, item_ids, is_asked=True)
    items = Side(model, model.item_tower, model.item_vocabulary, item_ids, user_ids, is_asked=False)
    users.fill(history.user_histories, history.user_features)
    items.fill(history.item_histories, history.item_features)
    catalogue = CatalogueKeeper(items.store, model.item_ids)
    catalogue.update(np.arange(len(item_ids), dtype=np.int32), history.unavailable)
    return Snapshot(model, users, items, catalogue)
