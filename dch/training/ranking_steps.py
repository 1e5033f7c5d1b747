"""One step of the ranking objective: draw users and items, thin their bags, compare codes with the target."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dch.config import DchConfig
from dch.training.bag import Bags
from dch.training.batches import HeldBack, Thinning, rounds, thin_bags
from dch.training.net import TowerNet, hard_sign
from dch.training.ranking import (
    NOT_DRAWN,
    held_back_cells,
    kept_cells,
    ranking_loss,
    target_distribution,
)
from dch.training.teacher import Teacher
from dch.training.training_bags import TrainingBags
from dch.training.uniformity import uniformity_loss

FIRST_SCALE = 8.0
"""Of the logits at the start, divided by bits: the largest logit is 8. From 14 on it did harm."""

LEAST_SCORE = 1e-3
"""Of the teacher's usual score: where it says nothing, its softmax stays finite."""

MOST_DRAWN = 4000
"""Items that a large catalogue raises a step to: of Amazon's 30,000, 3,000 to 4,000 give what 8,000 give."""


class RankingSteps:
    """The state of the ranking objective between steps."""

    def __init__(
        self,
        nets: tuple[TowerNet, TowerNet],
        sides: tuple[TrainingBags, TrainingBags],
        teacher: Teacher,
        config: DchConfig,
        rng: np.random.Generator,
    ) -> None:
        self._nets, self._sides, self._config, self._rng = nets, sides, config, rng
        self._user_thinning = Thinning(config.user_dropout, config.feature_weight, config.feature_dropout)
        self._item_thinning = replace(
            self._user_thinning, dropout=config.item_dropout, cold_share=config.cold_share
        )
        device = torch.device(config.device)
        temperature = config.temperature * max(teacher.usual_score(sides[0]), LEAST_SCORE)
        self._teacher_users = torch.from_numpy(teacher.users / np.float32(temperature)).to(device)
        self._teacher_items = torch.from_numpy(teacher.items).to(device)
        self._users = rounds(len(sides[0]), config.batch, rng)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE / config.bits, device=device))

    def slow_parameters(self) -> list[nn.Parameter]:
        """Return what is learned at a tenth of the rate."""
        return [self.scale]

    def loss(self) -> Tensor:
        """Draw one batch and return its loss."""
        users, items = next(self._users), self._draw_items()
        column_of = np.full(len(self._sides[1]), NOT_DRAWN, np.int32)
        column_of[items] = np.arange(len(items), dtype=np.int32)
        bags, held_back, item_bags = self._draw_bags(users, items)
        kept = kept_cells(bags, column_of)
        with torch.no_grad():
            scores = self._teacher_users[users] @ self._teacher_items[items].T
            target = target_distribution(
                scores, kept, held_back_cells(held_back, column_of), teacher_share=self._config.teacher_share
            )
        user_relaxed, user_vectors = self._nets[0].codes_and_vectors(bags)
        item_relaxed, item_vectors = self._nets[1].codes_and_vectors(item_bags)
        user_signs, item_signs = hard_sign(user_relaxed), hard_sign(item_relaxed)
        loss = ranking_loss(self.scale * user_signs @ item_signs.T, target, kept)
        if self._config.uniformity_weight:
            loss = loss + self._config.uniformity_weight * uniformity_loss(item_signs)
        if self._config.vector_size:
            by_vectors = ranking_loss(user_vectors @ item_vectors.T, target, kept)
            loss = loss + self._config.vector_weight * by_vectors
        return loss

    def _draw_bags(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> tuple[Bags, HeldBack, Bags]:
        user_side, item_side = self._sides
        bags, held_back = thin_bags(user_side, users, self._rng, self._user_thinning)
        item_bags, _ = thin_bags(item_side, items, self._rng, self._item_thinning)
        return bags, held_back, item_bags

    def _draw_items(self) -> NDArray[np.int64]:
        n = len(self._sides[1])
        drawn = max(self._config.sampled_items, min(n // 10, MOST_DRAWN))
        return self._rng.choice(n, min(n, drawn), replace=False)
