"""The towers as torch modules: the trainable counterparts of the frozen tower in ``dch.models.towers``."""

from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dch.models.towers import COUNT_CENTRE, COUNT_SPREAD, NORM_EPSILON, TowerWeights
from dch.training.embedding_bag import BagBatch, bag_sum


class TowerNet(nn.Module):
    """Computes what the frozen tower computes; parameters have the names and shapes of ``TowerWeights``."""

    def __init__(self, weights: TowerWeights) -> None:
        super().__init__()
        for name in PARAMETERS:
            self.register_parameter(name, nn.Parameter(torch.from_numpy(getattr(weights, name).copy())))

    def forward(self, batch: BagBatch) -> Tensor:
        """Return the relaxed codes of the bags, (n, bits), each value in (-1, 1)."""
        return self._relaxed(self._hidden(batch))

    def codes_and_vectors(self, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Return the relaxed codes, (n, bits), and the ranking vectors, (n, vector_size)."""
        p: Any = self
        hidden = self._hidden(batch)
        return self._relaxed(hidden), torch.addmm(p.vector_bias, hidden, p.vector_output)

    def _relaxed(self, hidden: Tensor) -> Tensor:
        p: Any = self
        return functional.softsign(torch.addmm(p.output_bias, hidden, p.output))

    def _hidden(self, batch: BagBatch) -> Tensor:
        """Return the hidden layer, (n, hidden)."""
        p: Any = self
        counts = torch.from_numpy(np.log1p(batch.counts).astype(np.float32)).to(p.bag.device)
        c = (counts - COUNT_CENTRE) / COUNT_SPREAD
        x = bag_sum(p.bag, batch) + p.bias + c[:, None] * p.count
        return torch.tanh(functional.layer_norm(x, (x.shape[1],), p.gain, p.shift, NORM_EPSILON))

    def freeze(self) -> TowerWeights:
        """Copy the weights out of torch."""
        named = {name: p.detach().cpu().numpy().copy() for name, p in self.named_parameters()}
        return TowerWeights(**named)


PARAMETERS = tuple(field.name for field in fields(TowerWeights))


def hard_sign(relaxed: Tensor) -> Tensor:
    """Return the sign, +1 or -1; the gradient passes through unchanged.

    Source:
        The straight-through estimator (Bengio, Leonard, Courville, arXiv 1308.3432), here after a softsign.
    """
    signs = torch.where(relaxed > 0, 1.0, -1.0)
    return relaxed + (signs - relaxed).detach()
