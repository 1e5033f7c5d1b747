"""When a refit is due: after so many new ratings, after so much time, or once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_RATINGS = 1000
"""The first generation needs this many ratings: with fewer there is nothing to learn from."""


@dataclass
class RefitSchedule:
    """Decides; 0 means never. A failed or rejected refit waits as long as a published one."""

    every_ratings: int
    every_s: float
    now: Callable[[], float] = time.monotonic
    _last_s: float = field(init=False)
    _last_ratings: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._last_s = self.now()

    def is_due(self, n_new: int, *, is_first: bool) -> bool:
        """Tell whether to refit now.

        Args:
            n_new: ratings read that the newest generation was not fitted on.
            is_first: there is no generation yet.
        """
        n_since = n_new - self._last_ratings
        if is_first:
            wanted = min(self.every_ratings or FIRST_RATINGS, FIRST_RATINGS)
            return n_since >= wanted
        by_ratings = 0 < self.every_ratings <= n_since
        by_time = 0 < self.every_s <= self.now() - self._last_s and n_since > 0
        return by_ratings or by_time

    def done(self, n_new: int) -> None:
        """Start to count anew: a refit has ended, and this many ratings are not in the newest generation."""
        self._last_s, self._last_ratings = self.now(), n_new
