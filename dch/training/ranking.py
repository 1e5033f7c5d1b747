"""The ranking objective: predict what was held back of a history, by codes, from the rest.

The data term of Equation 1 is replaced by a softmax over drawn items; towers, softsign and codes are kept.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dch.jit import kernel
from dch.training.bag import Bags
from dch.training.batches import HeldBack

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Starts = NDArray[np.int64]

NOT_DRAWN = -1


@dataclass(frozen=True)
class Cells:
    """Some cells of a (batch, drawn) block."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Floats


def ranking_loss(logits: Tensor, target: Tensor, kept: Cells) -> Tensor:
    """Return the cross-entropy of each user's softmax over the drawn items, averaged over users.

    Args:
        logits: (batch, drawn) scaled products of codes.
        target: (batch, drawn) see ``target_distribution``; 0 where kept.
        kept: ratings in the bags: the answer is given away, so they leave the softmax.

    Source:
        Softmax over a held-back part: Liang, Krishnan, Hoffman, Jebara, "Variational autoencoders for
        collaborative filtering" (WWW 2018).
    """
    loss: Tensor = _CrossEntropy.apply(logits, target, kept)  # type: ignore[no-untyped-call]
    return loss


def target_distribution(teacher: Tensor, kept: Cells, held_back: Cells, *, teacher_share: float) -> Tensor:
    """Mix the softmax of the teacher's scores with the held-back ratings; each row sums to 1.

    Args:
        teacher: (batch, drawn) the teacher's scores, divided by its temperature; overwritten.
        kept: ratings in the bags, left out.
        held_back: ratings left out of the bags, with their weights as targets.
        teacher_share: share of the teacher, which is all where nothing liked was held back.

    Returns:
        (batch, drawn); rows with every item kept are 0.

    Source:
        Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network" (arXiv 1503.02531).
    """
    device = teacher.device
    teacher[_at(kept, device)] = -torch.inf
    soft = torch.softmax(teacher, dim=1).nan_to_num_(0.0)
    values = torch.from_numpy(held_back.values).to(device)
    rows, columns = _at(held_back, device)
    totals = torch.zeros(len(teacher), device=device).index_add_(0, rows, values)
    share = torch.where(totals > 0, teacher_share, 1.0)
    soft *= share[:, None]
    soft[rows, columns] += (1 - share[rows]) * values / totals[rows].clamp_min(1e-12)
    return soft


def _at(cells: Cells, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(cells.rows).to(device), torch.from_numpy(cells.columns).to(device)


class _CrossEntropy(torch.autograd.Function):
    """Masked softmax and cross-entropy with the gradient taken in the forward pass, to save passes."""

    @staticmethod
    def forward(ctx, logits: Tensor, target: Tensor, kept: Cells) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        masked = logits.detach().clone()
        masked[_at(kept, logits.device)] = -torch.inf
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


def kept_cells(bags: Bags, column_of: Ints) -> Cells:
    """Return the cells of the items in the bags; column_of is (n_items,), NOT_DRAWN where not drawn."""
    return Cells(*_cells(bags.starts, bags.tokens, bags.weights, column_of, False))


def held_back_cells(held_back: HeldBack, column_of: Ints) -> Cells:
    """Return the cells of the liked items that were held back."""
    return Cells(*_cells(held_back.starts, held_back.tokens, held_back.targets, column_of, True))


@kernel
def _cells(
    starts: Starts, tokens: Ints, values: Floats, column_of: Ints, positive_only: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    rows, columns = np.empty(len(tokens), np.int64), np.empty(len(tokens), np.int64)
    found = np.empty(len(tokens), np.float32)
    n = 0
    for i in range(len(starts) - 1):
        for place in range(starts[i], starts[i + 1]):
            token = tokens[place]
            if token >= len(column_of) or column_of[token] == NOT_DRAWN:
                continue
            if positive_only and values[place] <= 0:
                continue
            rows[n], columns[n], found[n] = i, column_of[token], values[place]
            n += 1
    return rows[:n], columns[:n], found[:n]
