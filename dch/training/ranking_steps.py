"""One step of the ranking objective: draw users and items, thin their bags, compare codes with the target."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dch.config import DchConfig
from dch.training.batches import rounds, thin_bags
from dch.training.net import TowerNet, hard_sign
from dch.training.ranking import NOT_DRAWN, held_back_cells, kept_cells, ranking_loss
from dch.training.sides import Side
from dch.training.teacher import Teacher

FIRST_SCALE = 8.0
"""Of the logits at the start, divided by bits: the largest logit is 8. From 14 on it did harm."""


class RankingSteps:
    """The state of the ranking objective between steps."""

    def __init__(
        self,
        nets: tuple[TowerNet, TowerNet],
        sides: tuple[Side, Side],
        teacher: Teacher,
        config: DchConfig,
        rng: np.random.Generator,
    ) -> None:
        self._nets, self._sides, self._config, self._rng = nets, sides, config, rng
        device = torch.device(config.device)
        self._teacher_users = torch.from_numpy(teacher.users / np.float32(config.temperature)).to(device)
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
        config = self._config
        features = {
            name: getattr(config, name) for name in ("feature_weight", "feature_dropout", "cold_share")
        }
        bags, held_back = thin_bags(self._sides[0], users, self._rng, dropout=config.user_dropout, **features)
        item_bags, _ = thin_bags(self._sides[1], items, self._rng, dropout=config.item_dropout, **features)
        user_signs, item_signs = hard_sign(self._nets[0](bags)), hard_sign(self._nets[1](item_bags))
        with torch.no_grad():
            scores = self._teacher_users[users] @ self._teacher_items[items].T
        return ranking_loss(
            self.scale * user_signs @ item_signs.T,
            scores,
            kept_cells(bags, column_of),
            held_back_cells(held_back, column_of),
            teacher_share=config.teacher_share,
        )

    def _draw_items(self) -> NDArray[np.int64]:
        n = len(self._sides[1])
        return self._rng.choice(n, min(n, self._config.drawn_items), replace=False)
