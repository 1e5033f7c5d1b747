"""Commits that the brokers could not do: when to try again, and when to give up."""

import math

from streams.kafka.patience import FIRST_PAUSE_S, MAX_PAUSE_S, Patience


class FailedCommits:
    """When to try again after a commit that the brokers could not do, and for how long to go on."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since = self._next = math.inf
        self._pause_s = FIRST_PAUSE_S
        self.note_success()

    def is_due(self) -> bool:
        """Tell whether a commit may be tried now."""
        return self._patience.now() >= self._next

    def has_failed_too_long(self) -> bool:
        """Tell whether every commit has failed for longer than the limit."""
        return self._patience.now() - self._since > self._patience.limit_s

    def note_failure(self) -> None:
        """Delay the next commit."""
        now = self._patience.now()
        self._since = min(self._since, now)
        self._next, self._pause_s = now + self._pause_s, min(2 * self._pause_s, MAX_PAUSE_S)
        self._patience.suspect()

    def note_success(self) -> None:
        """Forget the failures."""
        self._since, self._next, self._pause_s = math.inf, -math.inf, FIRST_PAUSE_S
