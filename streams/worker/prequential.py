"""The prequential test of a worker: select the ratings that are trials, and count hits.

A trial is a rating whose item is ranked in its user's list just before the rating is folded in.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dch.models.model import Model
from dch.state.histories import Events
from dch.state.prequential import COHORTS, NOT_TRIED, Ranks
from streams.metrics import PREQUENTIAL_HITS, PREQUENTIAL_POPULAR_HITS, PREQUENTIAL_TRIALS
from streams.settings import WorkerSettings

OFFSET_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio. Its multiples modulo 2**64 are spread evenly (Fibonacci hashing), so that any
run of consecutive offsets is sampled in the same share."""


class Trials:
    """Selects and counts the trials of one generation."""

    def __init__(self, settings: WorkerSettings, model: Model, watermarks: Mapping[str, int]) -> None:
        self._k = settings.prequential_k
        self._share = settings.prequential_share
        self._positive_from = model.positive_from
        self._watermarks = np.zeros(settings.partitions, np.int64)
        for partition, offset in watermarks.items():
            if partition.isdecimal() and int(partition) < settings.partitions:
                self._watermarks[int(partition)] = offset

    def choose(
        self, events: Events, partitions: NDArray[np.int64], live: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which events are trials, (n,): live, not in the training data, positive and not withdrawn.

        Of these, the share set by ``prequential_share`` is sampled, always the same events. A trial scans all
        items, which costs too much per rating when there are many items.

        Args:
            events: n rating events.
            partitions: (n,) their partitions.
            live: (n,) whether they are live.
        """
        positive = events.ratings >= self._positive_from  # NaN is not
        chosen: NDArray[np.bool_] = live & positive & (events.offsets >= self._watermarks[partitions])
        if self._share < 1:
            position = (events.offsets.astype(np.uint64) * OFFSET_MULTIPLIER) >> np.uint64(32)
            chosen &= position < self._share * 2**32
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
