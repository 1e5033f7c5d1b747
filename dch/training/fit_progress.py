"""What a fit shows while it runs, and how many threads it may use."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dch.training.loop import Progress as Report

SMOOTHING = 0.95
"""The loss shown is a running mean over about 20 steps: one batch alone jumps too much to read."""


@contextmanager
def showing(progress: bool | Report | None) -> Iterator[Report]:
    """Yield what to call after each step: a bar for True, the function given, or nothing."""
    if callable(progress):
        yield progress
    elif progress:
        with _bar() as bar:
            yield _Shown(bar)
    else:
        yield lambda done, planned, loss: None


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use this many threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Shown:
    def __init__(self, bar: Progress) -> None:
        self._bar, self._task, self._loss = (
            bar,
            bar.add_task("prepare", total=None, said=""),
            float("nan"),
        )

    def __call__(self, done: int, planned: int, loss: float) -> None:
        self._loss = loss if done == 1 else SMOOTHING * self._loss + (1 - SMOOTHING) * loss
        self._bar.update(
            self._task, completed=done, total=planned, description="fit", said=f"loss {self._loss:.3f}"
        )


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
