"""The loss of the ranking objective: predict by codes the ratings that dropout took out of each history.

A softmax over sampled items replaces the data term of Equation 1. Towers, softsign and codes stay as in the
paper. The uniformity loss keeps the codes of different items apart.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dch.jit import kernel
from dch.training.batches import DroppedRatings
from dch.training.embedding_bag import BagBatch

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Starts = NDArray[np.int64]

NOT_SAMPLED = -1

SHARPNESS = 16.0
"""How fast the uniformity loss falls with distance: at 64 bits, codes that differ in four bits cost a seventh
of what equal codes cost."""

UNIFORMITY_ITEMS = 1024
"""Items of a step whose codes are compared, pair by pair; a million pairs take 3 ms."""


@dataclass(frozen=True)
class Cells:
    """Some cells of a (batch, sampled) block."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Floats


def ranking_loss(logits: Tensor, target: Tensor, kept: Cells) -> Tensor:
    """Return the cross-entropy of each user's softmax over the sampled items, averaged over users.

    Args:
        logits: (batch, sampled) scaled products of codes.
        target: (batch, sampled) see ``target_distribution``; 0 in kept cells.
        kept: ratings in the bags. They are masked out of the softmax, because they are part of the input.

    Source:
        Softmax over a held-out part: Liang, Krishnan, Hoffman, Jebara, "Variational autoencoders for
        collaborative filtering" (WWW 2018).
    """
    loss: Tensor = _CrossEntropy.apply(logits, target, kept)  # type: ignore[no-untyped-call]
    return loss


def target_distribution(teacher: Tensor, kept: Cells, dropped: Cells, *, teacher_share: float) -> Tensor:
    """Mix the softmax of the teacher's scores with the dropped ratings; each row sums to 1.

    Args:
        teacher: (batch, sampled) the teacher's scores, divided by the temperature; overwritten.
        kept: ratings in the bags; their target is 0.
        dropped: positive ratings that dropout took out of the bags, with their weights as targets.
        teacher_share: share of the teacher; 1 for a user without dropped ratings.

    Returns:
        (batch, sampled); rows in which every item is kept are 0.

    Source:
        Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network" (arXiv 1503.02531).
    """
    device = teacher.device
    teacher[_index(kept, device)] = -torch.inf
    soft = torch.softmax(teacher, dim=1).nan_to_num_(0.0)
    values = torch.from_numpy(dropped.values).to(device)
    rows, columns = _index(dropped, device)
    totals = torch.zeros(len(teacher), device=device).index_add_(0, rows, values)
    share = torch.where(totals > 0, teacher_share, 1.0)
    soft *= share[:, None]
    soft[rows, columns] += (1 - share[rows]) * values / totals[rows].clamp_min(1e-12)
    return soft


def uniformity_loss(signs: Tensor) -> Tensor:
    """Return the mean over items of the sum over the other items of exp(SHARPNESS * (cosine - 1)).

    Args:
        signs: (n, bits) codes as -1 and 1, n at least 1; only the first UNIFORMITY_ITEMS count.

    Source:
        The uniformity loss of Wang, Isola, "Understanding contrastive representation learning through
        alignment and uniformity on the hypersphere" (ICML 2020), here without its logarithm.
    """
    signs = signs[:UNIFORMITY_ITEMS]
    cosines = signs @ signs.T / signs.shape[1]  # (n, n)
    cosines.fill_diagonal_(-torch.inf)
    return torch.exp(SHARPNESS * (cosines - 1)).sum() / len(signs)


def kept_cells(batch: BagBatch, column_of: Ints) -> Cells:
    """Return the cells of the items in the bags.

    Args:
        batch: the users' bags.
        column_of: (n_items,) column of each item, NOT_SAMPLED for items without one.
    """
    return Cells(*_cells(batch.starts, batch.tokens, batch.weights, column_of, False))


def dropped_cells(dropped: DroppedRatings, column_of: Ints) -> Cells:
    """Return the cells of the positive ratings that dropout took out; ``column_of`` as for ``kept_cells``."""
    return Cells(*_cells(dropped.starts, dropped.tokens, dropped.targets, column_of, True))


class _CrossEntropy(torch.autograd.Function):
    """Masked softmax and cross-entropy; the forward pass also computes the gradient, which is faster."""

    @staticmethod
    def forward(ctx, logits: Tensor, target: Tensor, kept: Cells) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        masked = logits.detach().clone()
        masked[_index(kept, logits.device)] = -torch.inf
        log_p = torch.log_softmax(masked, dim=1)
        log_p.nan_to_num_(0.0, neginf=0.0)
        loss = -(target * log_p).sum() / len(logits)
        grad = torch.softmax(masked, dim=1).nan_to_num_(0.0)
        grad *= target.sum(dim=1, keepdim=True)
        grad -= target
        ctx.save_for_backward(grad)
        return loss

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        (grad,) = ctx.saved_tensors
        return grad * (grads[0] / len(grad)), None, None


def _index(cells: Cells, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(cells.rows).to(device), torch.from_numpy(cells.columns).to(device)


@kernel
def _cells(
    starts: Starts, tokens: Ints, values: Floats, column_of: Ints, positive_only: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    rows, columns = np.empty(len(tokens), np.int64), np.empty(len(tokens), np.int64)
    found = np.empty(len(tokens), np.float32)
    n = 0
    for i in range(len(starts) - 1):
        for position in range(starts[i], starts[i + 1]):
            token = tokens[position]
            if token >= len(column_of) or column_of[token] == NOT_SAMPLED:
                continue
            if positive_only and values[position] <= 0:
                continue
            rows[n], columns[n], found[n] = i, column_of[token], values[position]
            n += 1
    return rows[:n], columns[:n], found[:n]
