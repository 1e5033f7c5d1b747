"""When a fit is due."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_RATINGS = 1000
"""Ratings before the first fit of all is tried: with fewer it finds nothing that popularity does not know."""

QUIET_S = 3.0
"""The first fit waits until no rating came for so long: somebody may be loading years of them just now."""

PATIENCE_S = 60.0
"""Where ratings never stop to come, the first fit waits no longer than this."""


@dataclass
class Schedule:
    """Due after so many new ratings, or after so many seconds with any new rating at all; 0 is never."""

    every_ratings: int
    every_s: float
    now: Callable[[], float] = time.monotonic
    _last: float = field(init=False)
    _n_new: int = field(init=False, default=0)
    _grew_at: float = field(init=False)
    _enough_at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._last = self._grew_at = self.now()

    def started(self) -> None:
        """Take note that a fit starts; whatever comes of it, the next is not due before its time."""
        self._last = self.now()

    def is_due(self, *, n_new: int, has_model: bool) -> bool:
        """Say whether to fit now; to be asked often.

        Args:
            n_new: rating events since the last fit that was tried.
            has_model: whether any generation is in service.
        """
        if n_new != self._n_new:
            self._n_new, self._grew_at = n_new, self.now()
        by_count = 0 < self.every_ratings <= n_new
        by_time = self.every_s > 0 and n_new > 0 and self.now() - self._last >= self.every_s
        return by_count or by_time or (not has_model and self._is_first_due(n_new))

    def _is_first_due(self, n_new: int) -> bool:
        if n_new < FIRST_RATINGS:
            return False
        if self._enough_at is None:
            self._enough_at = self.now()
        return self.now() - self._grew_at >= QUIET_S or self.now() - self._enough_at >= PATIENCE_S
