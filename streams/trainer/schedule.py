"""Decide when a fit is due."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_RATINGS = 1000
"""Ratings before the first fit: a fit on fewer ratings is no better than a list of popular items."""

QUIET_S = 3.0
"""Seconds without new ratings before the first fit starts: somebody may be loading years of ratings."""

PATIENCE_S = 60.0
"""Longest wait for a quiet period, in seconds."""


@dataclass
class Schedule:
    """A refit is due after a number of new ratings, or after a time in which a new rating arrived.

    Args:
        every_ratings: new ratings after which a refit is due; 0 turns this rule off.
        every_s: seconds after which a refit is due; 0 turns this rule off.
        now: the clock, in seconds.
    """

    every_ratings: int
    every_s: float
    now: Callable[[], float] = time.monotonic
    _started_at: float = field(init=False)
    _n_new: int = field(init=False, default=0)
    _last_rating_at: float = field(init=False)
    _enough_at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._started_at = self._last_rating_at = self.now()

    def started(self) -> None:
        """Record that a fit starts; its outcome does not matter for the next one."""
        self._started_at = self.now()

    def is_due(self, *, n_new: int, has_model: bool) -> bool:
        """Tell whether to start a fit now. Call it often: it records when new ratings arrive.

        Args:
            n_new: rating events that neither the last started fit nor the model in service has seen.
            has_model: whether any generation is in service.
        """
        if n_new != self._n_new:
            self._n_new, self._last_rating_at = n_new, self.now()
        by_count = 0 < self.every_ratings <= n_new
        by_time = self.every_s > 0 and n_new > 0 and self.now() - self._started_at >= self.every_s
        return by_count or by_time or (not has_model and self._is_first_due(n_new))

    def _is_first_due(self, n_new: int) -> bool:
        if n_new < FIRST_RATINGS:
            return False
        if self._enough_at is None:
            self._enough_at = self.now()
        return self.now() - self._last_rating_at >= QUIET_S or self.now() - self._enough_at >= PATIENCE_S
