"""One step of the rating objective: the observed ratings of a block of users and items."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dch.config import DchConfig
from dch.training.batches import shuffled_batches, whole_bags
from dch.training.rating_loss import (
    binary_copy,
    binary_gap,
    data_term,
    next_multiplier,
    residual,
    scaled_ratings,
    squared_norm,
)
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags

UPDATE_EVERY = 25
"""Steps between two updates of copies and multipliers; an update encodes all users and items."""

ROWS_AT_ONCE = 4096
"""Rows that an update encodes at a time; limits its memory."""


@dataclass
class AdmmState:
    """The binary copy (P or Q) and the multiplier (E or F) of the users, or of the items."""

    copy: Tensor
    """(n, bits), each -1 or +1."""

    multiplier: Tensor
    """(n, bits)."""

    residual: float
    """Root mean square of relaxed - copy after the last update."""

    @classmethod
    def initial(cls, relaxed: Tensor) -> Self:
        """Return the state before the first step: the copy is the sign, the multiplier is 0."""
        copy = torch.where(relaxed > 0, 1.0, -1.0)
        return cls(copy, torch.zeros_like(relaxed), residual(relaxed, copy))

    def update(self, relaxed: Tensor, mu: float) -> None:
        """Update the copy, then the multiplier, for the current output of the tower."""
        self.copy = binary_copy(relaxed, self.multiplier, mu=mu)
        self.multiplier = next_multiplier(relaxed, self.copy, self.multiplier, mu=mu)
        self.residual = residual(relaxed, self.copy)


class RatingSteps:
    """Holds what the rating objective keeps between steps."""

    def __init__(
        self,
        nets: tuple[TowerNet, TowerNet],
        bags: tuple[TrainingBags, TrainingBags],
        config: DchConfig,
        rng: np.random.Generator,
    ) -> None:
        self._nets, self._bags, self._config = nets, bags, config
        values = bags[1].values
        self._low, self._high = float(values.min()), float(values.max())
        self._users = shuffled_batches(len(bags[0]), config.batch, rng)
        self._items = shuffled_batches(len(bags[1]), config.sampled_items, rng)
        self.admm = AdmmState.initial(self._encode_all(0)), AdmmState.initial(self._encode_all(1))
        self._step = 0

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return no parameters: all are learned at the full rate."""
        return []

    def loss(self) -> Tensor:
        """Draw one block of users and items and return its part of Equation 1, divided by bits^2."""
        if self._step and self._step % UPDATE_EVERY == 0:
            for side, state in enumerate(self.admm):
                state.update(self._encode_all(side), self._config.mu)
        self._step += 1
        users, items = next(self._users), next(self._items)
        relaxed = self._encode(0, users), self._encode(1, items)
        loss = self._data_term(users, items, *relaxed)
        for rows, codes, state in zip((users, items), relaxed, self.admm, strict=True):
            loss = loss + binary_gap(codes, state.copy[rows], state.multiplier[rows], mu=self._config.mu)
        weights = (self._config.lambda_user, self._config.lambda_item)
        for net, weight in zip(self._nets, weights, strict=True):
            loss = loss + weight * squared_norm(net)
        return loss / self._config.bits**2  # so that one learning rate suits every code length

    def _data_term(
        self, users: NDArray[np.int64], items: NDArray[np.int64], user_relaxed: Tensor, item_relaxed: Tensor
    ) -> Tensor:
        rows, columns, values = observed_ratings(self._bags[0], users, items)
        if not len(values):
            return user_relaxed.sum() * 0
        scaled = scaled_ratings(
            torch.from_numpy(values).to(user_relaxed.device),
            low=self._low,
            high=self._high,
            bits=self._config.bits,
        )
        return data_term(scaled, user_relaxed[rows], item_relaxed[columns])

    def _encode(self, side: int, rows: NDArray[np.int64]) -> Tensor:
        relaxed: Tensor = self._nets[side](whole_bags(self._bags[side], rows, self._config.feature_weight))
        return relaxed

    @torch.no_grad()
    def _encode_all(self, side: int) -> Tensor:
        n = len(self._bags[side])
        parts = [np.arange(a, min(n, a + ROWS_AT_ONCE)) for a in range(0, n, ROWS_AT_ONCE)]
        return torch.cat([self._encode(side, part) for part in parts])


def observed_ratings(
    user_bags: TrainingBags, users: NDArray[np.int64], items: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the ratings that these users gave to these items.

    A rating of NaN is input only: it is in the bag but not returned, so the fit does not learn to predict it.

    Args:
        user_bags: the bags of the users.
        users: (n,) rows of the user bags.
        items: (m,) rows of the item bags.

    Returns:
        Position in users, position in items, and rating, (n_found,) each.
    """
    lengths = user_bags.starts[users + 1] - user_bags.starts[users]
    owner = np.repeat(np.arange(len(users)), lengths)
    first = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    positions = np.arange(len(owner)) + (user_bags.starts[users] - first)[owner]
    column_of = np.full(user_bags.n_other, -1, np.int64)
    column_of[items] = np.arange(len(items))
    columns = column_of[user_bags.tokens[positions]]
    found = (columns >= 0) & ~np.isnan(user_bags.values[positions])
    return owner[found], columns[found], user_bags.values[positions[found]]
