"""One step of the rating objective: the observed ratings of a block of drawn users and items."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dch.config import DchConfig
from dch.training.batches import rounds, whole_bags
from dch.training.net import TowerNet
from dch.training.rating import (
    binary_copy,
    binary_gap,
    data_term,
    next_multiplier,
    residual,
    scaled_ratings,
    squared_norm,
)
from dch.training.training_bags import TrainingBags

UPDATE_EVERY = 25
"""Steps between updates of copies and multipliers: each needs all codes of both sides."""

ROWS_AT_ONCE = 4096
"""Rows encoded at a time in an update, which bounds its memory."""


@dataclass
class Dual:
    """The binary copy (P or Q) and the multiplier (E or F) of one side."""

    copy: Tensor
    """(n, bits), each -1 or +1."""

    multiplier: Tensor
    """(n, bits)."""

    residual: float
    """Root mean square of relaxed - copy at the latest update."""

    @classmethod
    def first(cls, relaxed: Tensor) -> Self:
        """Start with the sign, and no multiplier."""
        copy = torch.where(relaxed > 0, 1.0, -1.0)
        return cls(copy, torch.zeros_like(relaxed), residual(relaxed, copy))

    def update(self, relaxed: Tensor, mu: float) -> None:
        """Follow the towers: first the copy, then the multiplier."""
        self.copy = binary_copy(relaxed, self.multiplier, mu=mu)
        self.multiplier = next_multiplier(relaxed, self.copy, self.multiplier, mu=mu)
        self.residual = residual(relaxed, self.copy)


class RatingSteps:
    """The state of the rating objective between steps."""

    def __init__(
        self,
        nets: tuple[TowerNet, TowerNet],
        sides: tuple[TrainingBags, TrainingBags],
        config: DchConfig,
        rng: np.random.Generator,
    ) -> None:
        self._nets, self._sides, self._config = nets, sides, config
        values = sides[1].values
        self._low, self._high = float(values.min()), float(values.max())
        self._users = rounds(len(sides[0]), config.batch, rng)
        self._items = rounds(len(sides[1]), config.sampled_items, rng)
        self.duals = Dual.first(self._encode_all(0)), Dual.first(self._encode_all(1))
        self._step = 0

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return nothing: all is learned at one rate."""
        return []

    def loss(self) -> Tensor:
        """Draw one block and return its share of Equation 1, divided by bits^2."""
        if self._step and self._step % UPDATE_EVERY == 0:
            for which, dual in enumerate(self.duals):
                dual.update(self._encode_all(which), self._config.mu)
        self._step += 1
        users, items = next(self._users), next(self._items)
        relaxed = self._encode(0, users), self._encode(1, items)
        loss = self._data_term(users, items, *relaxed)
        for rows, codes, dual in zip((users, items), relaxed, self.duals, strict=True):
            loss = loss + binary_gap(codes, dual.copy[rows], dual.multiplier[rows], mu=self._config.mu)
        weights = (self._config.lambda_user, self._config.lambda_item)
        for net, weight in zip(self._nets, weights, strict=True):
            loss = loss + weight * squared_norm(net)
        return loss / self._config.bits**2  # so that a learning rate fits every length of code

    def _data_term(
        self, users: NDArray[np.int64], items: NDArray[np.int64], user_relaxed: Tensor, item_relaxed: Tensor
    ) -> Tensor:
        rows, columns, values = observed(self._sides[0], users, items)
        if not len(values):
            return user_relaxed.sum() * 0
        scaled = scaled_ratings(
            torch.from_numpy(values).to(user_relaxed.device),
            low=self._low,
            high=self._high,
            bits=self._config.bits,
        )
        return data_term(scaled, user_relaxed[rows], item_relaxed[columns])

    def _encode(self, which: int, rows: NDArray[np.int64]) -> Tensor:
        relaxed: Tensor = self._nets[which](whole_bags(self._sides[which], rows, self._config.feature_weight))
        return relaxed

    @torch.no_grad()
    def _encode_all(self, which: int) -> Tensor:
        n = len(self._sides[which])
        parts = [np.arange(a, min(n, a + ROWS_AT_ONCE)) for a in range(0, n, ROWS_AT_ONCE)]
        return torch.cat([self._encode(which, part) for part in parts])


def observed(
    side: TrainingBags, users: NDArray[np.int64], items: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the ratings of these users on these items: place in users, place in items, rating.

    A rating of NaN is in its bag and nothing else: it is not fitted.
    """
    lengths = side.starts[users + 1] - side.starts[users]
    owner = np.repeat(np.arange(len(users)), lengths)
    first = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    places = np.arange(len(owner)) + (side.starts[users] - first)[owner]
    column_of = np.full(side.n_other, -1, np.int64)
    column_of[items] = np.arange(len(items))
    columns = column_of[side.tokens[places]]
    drawn = (columns >= 0) & ~np.isnan(side.values[places])
    return owner[drawn], columns[drawn], side.values[places[drawn]]
