"""The weighted embedding bag: sums of embedding rows, sparse forward and backward.

On a cpu it is compiled, and split over threads so that no two write the same number: equal input gives equal
output whatever the number of threads. On other devices, and as the oracle of the tests, it is torch's own.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dch.jit import kernel

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Bags:
    """Some bags as compressed rows: bag i holds the tokens ``starts[i]:starts[i + 1]``."""

    starts: NDArray[np.int64]
    """(n + 1,)."""

    tokens: NDArray[np.int32]
    """(n_tokens,) rows of the embedding table."""

    weights: Floats
    """(n_tokens,), scaled so that the squares of one bag sum to 1."""

    counts: NDArray[np.int32]
    """(n,) ratings in each bag; feature tokens are not counted."""

    def __len__(self) -> int:
        return len(self.starts) - 1


def bag_sum(table: Tensor, bags: Bags) -> Tensor:
    """Return the weighted sum of embedding rows of each bag, (n, hidden); 0 for an empty bag.

    Args:
        table: (n_tokens, hidden) float32.
        bags: n bags whose tokens are rows of the table.
    """
    if table.device.type == "cpu":
        compiled: Tensor = _CompiledBag.apply(table, bags)  # type: ignore[no-untyped-call]
        return compiled
    return torch_bag_sum(table, bags)


def torch_bag_sum(table: Tensor, bags: Bags) -> Tensor:
    """The same by torch alone, on any device."""
    tokens, starts, weights = (
        torch.from_numpy(part).to(table.device)
        for part in (bags.tokens.astype(np.int64), bags.starts, bags.weights)
    )
    return functional.embedding_bag(
        tokens, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


class _CompiledBag(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table: Tensor, bags: Bags) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        ctx.bags, ctx.rows = bags, len(table)
        out = np.empty((len(bags), table.shape[1]), np.float32)
        rows = table.detach().numpy()
        _in_parts(len(bags), lambda a, b: _gather(rows, bags.starts, bags.tokens, bags.weights, a, b, out))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        grad = np.ascontiguousarray(grads[0].numpy())
        out = np.zeros((ctx.rows, grad.shape[1]), np.float32)
        bags = ctx.bags
        _in_parts(
            grad.shape[1], lambda a, b: _scatter(grad, bags.starts, bags.tokens, bags.weights, a, b, out)
        )
        return torch.from_numpy(out), None


@kernel
def _gather(
    table: Floats,
    starts: NDArray[np.int64],
    tokens: NDArray[np.int32],
    weights: Floats,
    a: int,
    b: int,
    out: Floats,
) -> None:
    """Fill the rows a:b of out."""
    for i in range(a, b):
        total = out[i]
        total[:] = 0
        for place in range(starts[i], starts[i + 1]):
            row, weight = table[tokens[place]], weights[place]
            for j in range(len(total)):
                total[j] += weight * row[j]


@kernel
def _scatter(
    grad: Floats,
    starts: NDArray[np.int64],
    tokens: NDArray[np.int32],
    weights: Floats,
    a: int,
    b: int,
    out: Floats,
) -> None:
    """Add to the columns a:b of out."""
    for i in range(len(grad)):
        row = grad[i, a:b]
        for place in range(starts[i], starts[i + 1]):
            total, weight = out[tokens[place], a:b], weights[place]
            for j in range(b - a):
                total[j] += weight * row[j]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="dch-bag")


def _in_parts(n: int, work: Callable[[int, int], None]) -> None:
    """Call work(a, b) on slices of range(n), as many as torch has threads."""
    threads = torch.get_num_threads()
    bounds = [n * part // threads for part in range(threads + 1)]
    if threads == 1:
        return work(0, n)
    waiting = [_pool(threads).submit(work, a, b) for a, b in pairwise(bounds[1:])]
    work(bounds[0], bounds[1])
    for part in waiting:
        part.result()
    return None
