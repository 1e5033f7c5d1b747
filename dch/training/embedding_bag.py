"""The weighted embedding bag: sums of embedding rows, sparse in the forward and the backward pass.

On a CPU the code is compiled and split over threads so that no two threads write the same number: equal input
gives equal output for any number of threads. On other devices torch's own embedding bag is used; the tests
compare the compiled code with it.
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
class BagBatch:
    """The bags of one batch as compressed rows: bag i holds the tokens ``starts[i]:starts[i + 1]``."""

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


def bag_sum(table: Tensor, batch: BagBatch) -> Tensor:
    """Return the weighted sum of the embedding rows of each bag, (n, hidden); 0 for an empty bag.

    Args:
        table: (n_tokens, hidden) float32.
        batch: n bags whose tokens are rows of the table.
    """
    if table.device.type == "cpu":
        compiled: Tensor = _CompiledBag.apply(table, batch)  # type: ignore[no-untyped-call]
        return compiled
    return torch_bag_sum(table, batch)


def torch_bag_sum(table: Tensor, batch: BagBatch) -> Tensor:
    """Compute the same as ``bag_sum`` with torch alone, on any device."""
    tokens, starts, weights = (
        torch.from_numpy(part).to(table.device)
        for part in (batch.tokens.astype(np.int64), batch.starts, batch.weights)
    )
    return functional.embedding_bag(
        tokens, table, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


class _CompiledBag(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table: Tensor, batch: BagBatch) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        ctx.batch, ctx.rows = batch, len(table)
        out = np.empty((len(batch), table.shape[1]), np.float32)
        rows = table.detach().numpy()
        _in_threads(
            len(batch), lambda a, b: _gather(rows, batch.starts, batch.tokens, batch.weights, a, b, out)
        )
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        grad = np.ascontiguousarray(grads[0].numpy())
        out = np.zeros((ctx.rows, grad.shape[1]), np.float32)
        batch = ctx.batch
        _in_threads(
            grad.shape[1],
            lambda a, b: _scatter(grad, batch.starts, batch.tokens, batch.weights, a, b, out),
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
        for position in range(starts[i], starts[i + 1]):
            row, weight = table[tokens[position]], weights[position]
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
        for position in range(starts[i], starts[i + 1]):
            total, weight = out[tokens[position], a:b], weights[position]
            for j in range(b - a):
                total[j] += weight * row[j]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="dch-bag")


def _in_threads(n: int, work: Callable[[int, int], None]) -> None:
    """Call work(a, b) on slices of range(n), one slice for each thread of torch."""
    threads = torch.get_num_threads()
    bounds = [n * part // threads for part in range(threads + 1)]
    if threads == 1:
        return work(0, n)
    futures = [_pool(threads).submit(work, a, b) for a, b in pairwise(bounds[1:])]
    work(bounds[0], bounds[1])
    for future in futures:
        future.result()
    return None
