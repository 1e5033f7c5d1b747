"""The prequential test of a worker: select the ratings that are trials, and count hits.

A trial is a rating whose item is ranked in its user's list just before the rating is folded in.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from dch.models.model import Model
from dch.state.histories import Events
from dch.state.prequential import COHORTS, NOT_TRIED, Ranks
from streams.metrics import (
    PREQUENTIAL_HITS,
    PREQUENTIAL_POPULAR_HITS,
    PREQUENTIAL_SHARE_RATIO,
    PREQUENTIAL_TRIALS,
)
from streams.settings import WorkerSettings

OFFSET_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio. Its multiples modulo 2**64 are spread evenly (Fibonacci hashing), so that any
run of consecutive offsets is sampled in the same share."""


BUDGET = 0.05
"""Share of a core that trials may take."""

INTERVAL_S = 2.0
"""How long the time that trials take is added up. It is the budget of this time that must not be exceeded."""


class TrialShare:
    """The share of ratings that are tried: as set, but halved whenever trials exceed their budget.

    While a backlog is applied, the budget of an interval is used up long before the interval is over; so the
    share is halved at once, and again at twice the budget, four times and so on. It doubles again, up to the
    one that is set, after an interval in which trials took under a quarter of the budget. Trials are selected
    by a hash below the share, so those of a smaller share are among those of a larger one.
    """

    def __init__(self, share: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self.value = self._largest = share
        self._now, self._since = now, now()
        self._seconds_before: float | None = None
        self._budget_s = BUDGET * INTERVAL_S
        PREQUENTIAL_SHARE_RATIO.set(share)

    def adjust(self, seconds: float) -> None:
        """Change the share if trials have taken too long, or if an interval is over.

        Args:
            seconds: processor time that trials have taken so far.
        """
        if self._seconds_before is None:
            self._seconds_before = seconds
        passed = max(self._now() - self._since, INTERVAL_S)
        used = (seconds - self._seconds_before) / passed
        while used * INTERVAL_S > self._budget_s:
            self.value, self._budget_s = self.value / 2, 2 * self._budget_s
        if self._now() - self._since >= INTERVAL_S:
            if used < BUDGET / 4:
                self.value = min(2 * self.value, self._largest)
            self._seconds_before, self._since = seconds, self._now()
            self._budget_s = BUDGET * INTERVAL_S
        PREQUENTIAL_SHARE_RATIO.set(self.value)


class Trials:
    """Selects and counts the trials of one generation."""

    def __init__(self, settings: WorkerSettings, model: Model, watermarks: Mapping[str, int]) -> None:
        self._k = settings.prequential_k
        self.share = TrialShare(settings.prequential_share)
        self._positive_from = model.positive_from
        self._watermarks = np.zeros(settings.partitions, np.int64)
        for partition, offset in watermarks.items():
            if partition.isdecimal() and int(partition) < settings.partitions:
                self._watermarks[int(partition)] = offset

    def choose(
        self, events: Events, partitions: NDArray[np.int64], live: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which events are trials, (n,): live, not in the training data, positive and not withdrawn.

        Of these, a share is sampled, and always the same events for the same share.

        Args:
            events: n rating events.
            partitions: (n,) their partitions.
            live: (n,) whether they are live.
        """
        positive = events.ratings >= self._positive_from  # NaN is not
        chosen: NDArray[np.bool_] = live & positive & (events.offsets >= self._watermarks[partitions])
        if self.share.value < 1:
            position = (events.offsets.astype(np.uint64) * OFFSET_MULTIPLIER) >> np.uint64(32)
            chosen &= position < self.share.value * 2**32
        return chosen

    def count(self, ranks: Ranks, cohorts: NDArray[np.int64]) -> None:
        """Count trials and hits by cohort.

        Args:
            ranks: of n events.
            cohorts: (n,) positions in COHORTS.
        """
        tried = ranks.codes != NOT_TRIED
        for counter, which in (
            (PREQUENTIAL_TRIALS, tried),
            (PREQUENTIAL_HITS, tried & (ranks.codes < self._k)),
            (PREQUENTIAL_POPULAR_HITS, tried & (ranks.popular < self._k)),
        ):
            counts = np.bincount(cohorts[which], minlength=len(COHORTS))
            for cohort, count in zip(COHORTS, counts.tolist(), strict=True):
                counter.labels(cohort).inc(count)
