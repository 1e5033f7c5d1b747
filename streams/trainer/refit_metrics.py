"""Metrics of fits: what the last ones were worth beside the model in service.

The figures of published models are in their pointers, so they outlive the trainer that measured them.
"""

from collections.abc import Iterable

from streams.messages import ModelPointer
from streams.metrics import REFIT_NDCG
from streams.trainer.fit import IN_SERVICE_NDCG, NEWEST_NDCG
from streams.trainer.gate import FitResult

N_SHOWN = 5
"""Generations whose figures stay in the metrics."""


class RefitMetrics:
    """Shows the figures of the last measured refits."""

    def __init__(self) -> None:
        self._shown: set[int] = set()  # generations; a rejected refit leaves its number to the next one

    def show(self, generation: int, result: FitResult) -> None:
        """Show the figures of a fit; one that was not measured has none."""
        if result.candidate is not None and result.in_service is not None:
            self._show(generation, result.candidate, result.in_service)

    def restore(self, pointers: Iterable[ModelPointer]) -> None:
        """Show the figures that pointers hold, oldest first. A rollback was not measured itself."""
        for pointer in pointers:
            candidate, in_service = (pointer.metrics.get(name) for name in (NEWEST_NDCG, IN_SERVICE_NDCG))
            is_fit = pointer.rolled_back_from is None
            if is_fit and isinstance(candidate, int | float) and isinstance(in_service, int | float):
                self._show(pointer.generation, candidate, in_service)

    def _show(self, generation: int, candidate: float, in_service: float) -> None:
        REFIT_NDCG.labels(str(generation), "candidate").set(candidate)
        REFIT_NDCG.labels(str(generation), "in_service").set(in_service)
        self._shown.add(generation)
        if len(self._shown) > N_SHOWN:
            self._shown.remove(gone := min(self._shown))
            for model in ("candidate", "in_service"):
                REFIT_NDCG.remove(str(gone), model)
