"""A snapshot: one model with the user codes and the item index that it filled, all of one generation."""

from dataclasses import dataclass

import numpy as np

from dch.errors import GenerationMismatchError
from dch.models.model import Model
from dch.state.encoder import ROWS_PER_PART, ItemEncoder, Pause, UserEncoder, go_on
from dch.state.histories import History
from dch.state.item_index import ItemIndex


@dataclass(frozen=True)
class Snapshot:
    """What requests are answered from. A reader takes it once per request and may keep it during a swap."""

    model: Model
    users: UserEncoder
    items: ItemEncoder
    item_index: ItemIndex

    def __post_init__(self) -> None:
        for what, part in (
            ("user codes", self.users),
            ("item sums", self.items),
            ("item codes", self.item_index),
        ):
            if part.generation != self.model.generation:
                raise GenerationMismatchError(
                    f"{what} are of generation {part.generation}, the model is of "
                    f"{self.model.generation}; encode them again with the model"
                )

    @property
    def nbytes(self) -> int:
        """Memory of running sums and codes, in bytes."""
        return self.users.nbytes + self.items.nbytes + self.item_index.nbytes


def prepare(model: Model, history: History, pause: Pause = go_on) -> Snapshot:
    """Sum the bags of all users and items of a history with a model, and encode the items.

    Args:
        model: the model.
        history: the ratings and features.
        pause: called now and then; it may raise to give up.
    """
    history.reserve(0)
    users = UserEncoder(model, history.user_ids, history.item_ids)
    users.bags.fill(history.user_histories, history.user_features, pause)
    items = ItemEncoder(model, history.item_ids, history.user_ids)
    items.bags.fill(history.item_histories, history.item_features, pause)
    item_index = ItemIndex(
        history.item_ids,
        generation=model.generation,
        bits=model.bits,
        vector_size=model.item_tower.vector_size,
        fitted=model.item_ids,
    )
    for start in range(0, len(history.item_ids), ROWS_PER_PART):
        rows = np.arange(start, min(start + ROWS_PER_PART, len(history.item_ids)), dtype=np.int32)
        item_index.change(rows, items.encode(rows), history.unavailable)
        pause()
    item_index.publish()
    return Snapshot(model, users, items, item_index)
