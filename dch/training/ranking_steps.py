"""One step of the ranking objective: sample users and items, apply dropout, compare codes with the target."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dch.config import DchConfig
from dch.training.batches import BagDropout, DroppedRatings, bags_with_dropout, shuffled_batches
from dch.training.embedding_bag import BagBatch
from dch.training.ranking_loss import (
    NOT_SAMPLED,
    Cells,
    dropped_cells,
    kept_cells,
    ranking_loss,
    target_distribution,
    uniformity_loss,
)
from dch.training.teacher import Teacher
from dch.training.tower_net import TowerNet, hard_sign
from dch.training.training_bags import TrainingBags

INITIAL_LOGIT = 8.0
"""Largest logit at the start of a fit: products of codes are scaled by this / bits. Values from 14 up lowered
NDCG@20."""

RELAXED_FACTOR = 1.5
"""Factor of INITIAL_LOGIT with relaxed users, whose numbers are below 1."""

MIN_TYPICAL_SCORE = 1e-3
"""Lower limit of the teacher's typical score: keeps its softmax finite when all its scores are near 0."""

NEIGHBOUR_TEMPERATURE = 0.1
"""Temperature of the softmax of a teacher by neighbours, in units of its mean score of rated items."""

MAX_SAMPLED = 4000
"""Limit up to which a large catalogue raises the items of a step: of Amazon's 30,000 items, 3,000 to 4,000
give the same quality as 8,000."""


class RankingSteps:
    """Holds what the ranking objective keeps between steps."""

    def __init__(
        self,
        nets: tuple[TowerNet, TowerNet],
        bags: tuple[TrainingBags, TrainingBags],
        teacher: Teacher,
        config: DchConfig,
        rng: np.random.Generator,
    ) -> None:
        self._nets, self._bags, self._config, self._rng = nets, bags, config, rng
        self._user_dropout = BagDropout(config.user_dropout, config.feature_weight, config.feature_dropout)
        self._item_dropout = replace(
            self._user_dropout, rating_dropout=config.item_dropout, cold_share=config.cold_share
        )
        device = torch.device(config.device)
        temperature = config.temperature * max(teacher.typical_score(bags[0]), MIN_TYPICAL_SCORE)
        self._teacher_users = torch.from_numpy(teacher.users / np.float32(temperature)).to(device)
        self._teacher_items = torch.from_numpy(teacher.items).to(device)
        self._neighbours = teacher.neighbours
        self._shares = neighbour_shares(config) if teacher.neighbours else (0.0, 0.0)
        self._users = shuffled_batches(len(bags[0]), config.batch, rng)
        logit = INITIAL_LOGIT * (RELAXED_FACTOR if config.relaxed_users else 1.0)
        self.scale = nn.Parameter(torch.tensor(logit / config.bits, device=device))

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return the scale of the logits, which is learned at a tenth of the learning rate."""
        return [self.scale]

    def loss(self) -> Tensor:
        """Draw one batch and return its loss."""
        users, items = next(self._users), self._sample_items()
        column_of = np.full(len(self._bags[1]), NOT_SAMPLED, np.int32)
        column_of[items] = np.arange(len(items), dtype=np.int32)
        user_batch, dropped, item_batch = self._draw_bags(users, items)
        kept = kept_cells(user_batch, column_of)
        with torch.no_grad():
            target, vector_target = self._targets(users, items, kept, dropped_cells(dropped, column_of))
        user_relaxed, user_vectors = self._nets[0].codes_and_vectors(user_batch)
        item_relaxed, item_vectors = self._nets[1].codes_and_vectors(item_batch)
        item_signs = hard_sign(item_relaxed)
        user_codes = user_relaxed if self._config.relaxed_users else hard_sign(user_relaxed)
        loss = ranking_loss(self.scale * user_codes @ item_signs.T, target, kept)
        if self._config.uniformity_weight:
            loss = loss + self._config.uniformity_weight * uniformity_loss(item_signs)
        if self._config.vector_size:
            vector_loss = ranking_loss(user_vectors @ item_vectors.T, vector_target, kept)
            loss = loss + self._config.vector_weight * vector_loss
        return loss

    def _targets(
        self, users: NDArray[np.int64], items: NDArray[np.int64], kept: Cells, dropped: Cells
    ) -> tuple[Tensor, Tensor]:
        """Return what codes and what vectors learn, (batch, sampled) each; one tensor if both are equal."""
        by_factors = self._teacher_users[users] @ self._teacher_items[items].T
        by_neighbours = self._by_neighbours(users, items)
        targets = {
            share: target_distribution(
                _mixed(by_factors, by_neighbours, share),
                kept,
                dropped,
                teacher_share=self._config.teacher_share,
            )
            for share in set(self._shares)
        }
        return targets[self._shares[0]], targets[self._shares[1]]

    def _by_neighbours(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> Tensor | None:
        """Return the scores by item-to-item weights divided by their temperature, (batch, sampled)."""
        if self._neighbours is None:
            return None
        scores = self._neighbours.scores(users, items)
        scores /= np.float32(NEIGHBOUR_TEMPERATURE * self._neighbours.typical_score)
        return torch.from_numpy(scores).to(self._teacher_users.device)

    def _draw_bags(
        self, users: NDArray[np.int64], items: NDArray[np.int64]
    ) -> tuple[BagBatch, DroppedRatings, BagBatch]:
        user_bags, item_bags = self._bags
        user_batch, dropped = bags_with_dropout(user_bags, users, self._rng, self._user_dropout)
        item_batch, _ = bags_with_dropout(item_bags, items, self._rng, self._item_dropout)
        return user_batch, dropped, item_batch

    def _sample_items(self) -> NDArray[np.int64]:
        n = len(self._bags[1])
        sampled = max(self._config.sampled_items, min(n // 10, MAX_SAMPLED))
        return self._rng.choice(n, min(n, sampled), replace=False)


def neighbour_shares(config: DchConfig) -> tuple[float, float]:
    """Return the share of item-to-item weights in what codes and in what ranking vectors learn.

    Where ``neighbours`` is 0, the model gets none, so vectors learn what codes learn unless they have a share
    of their own.
    """
    of_codes, of_vectors = config.teacher_neighbours or 0.0, config.vector_teacher_neighbours
    if of_vectors is None:
        is_alone = config.neighbours == 0 or not config.vector_size
        of_vectors = of_codes if is_alone else 0.0
    return of_codes, of_vectors


def _mixed(by_factors: Tensor, by_neighbours: Tensor | None, share: float) -> Tensor:
    """Return the scores by factors, mixed with those by item-to-item weights where there are some."""
    if by_neighbours is None:
        return by_factors
    return by_factors.mul(1 - share).add_(by_neighbours, alpha=share)
