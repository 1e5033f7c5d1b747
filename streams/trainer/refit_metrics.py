"""Metrics of fits: what the last ones were worth beside the model in service."""

from collections import deque

from streams.metrics import REFIT_NDCG
from streams.trainer.gate import FitResult

N_SHOWN = 5
"""Generations whose figures stay in the metrics."""


class RefitMetrics:
    """Shows the figures of the last measured refits."""

    def __init__(self) -> None:
        self._shown: deque[int] = deque()  # generations, oldest first

    def show(self, generation: int, result: FitResult) -> None:
        """Show the figures of a fit; one that was not measured has none."""
        if result.candidate is None or result.in_service is None:
            return
        REFIT_NDCG.labels(str(generation), "candidate").set(result.candidate)
        REFIT_NDCG.labels(str(generation), "in_service").set(result.in_service)
        if generation not in self._shown:  # a rejected refit leaves its number to the next one
            self._shown.append(generation)
        if len(self._shown) > N_SHOWN:
            gone = str(self._shown.popleft())
            for model in ("candidate", "in_service"):
                REFIT_NDCG.remove(gone, model)
