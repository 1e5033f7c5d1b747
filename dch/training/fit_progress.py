"""Report the progress of a fit: a bar on the terminal, or a function of the caller's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

FitProgress = Callable[[int, int, float], None]
"""Called after each step with the steps done, the steps planned and the loss."""

SMOOTHING = 0.95
"""The bar shows a running mean of the loss over about 20 steps; the loss of one batch is too noisy."""


@contextmanager
def report_progress(progress: bool | FitProgress | None) -> Iterator[FitProgress]:
    """Yield the function to call after each step.

    Args:
        progress: a function is called as it is; True shows a bar; False and None show nothing.
    """
    if callable(progress):
        yield progress
    elif progress:
        with _bar() as bar:
            yield _BarProgress(bar)
    else:
        yield lambda done, planned, loss: None


class _BarProgress:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("prepare", total=None, loss="")
        self._loss = float("nan")

    def __call__(self, done: int, planned: int, loss: float) -> None:
        self._loss = loss if done == 1 else SMOOTHING * self._loss + (1 - SMOOTHING) * loss
        self._bar.update(
            self._task, completed=done, total=planned, description="fit", loss=f"loss {self._loss:.3f}"
        )


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
