"""Prequential quality, live: which ratings are tried before they are learned, and what the trials said."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dch.models.model import Model
from dch.state.histories import Events
from dch.state.prequential import NOT_TRIED, Ranks
from dch.state.snapshot import Snapshot
from streams.metrics import (
    COHORTS,
    PREQUENTIAL_HITS,
    PREQUENTIAL_POPULAR_HITS,
    PREQUENTIAL_TRIALS,
)
from streams.settings import WorkerSettings

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # golden ratio: neighbouring offsets fall evenly into [0, 1)


class Trials:
    """Decides and counts trials for one generation."""

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
        """Tell which events to try, (n,): new to this worker and to the fit, positive, not withdrawn.

        Of these a set share, always the same ones: a trial looks at every item, which a large catalogue
        cannot afford for every rating.
        """
        positive = events.ratings >= self._positive_from  # NaN is not
        chosen: NDArray[np.bool_] = live & positive & (events.offsets >= self._watermarks[partitions])
        if self._share < 1:
            place = (events.offsets.astype(np.uint64) * SPREAD) >> np.uint64(32)
            chosen &= place < self._share * 2**32
        return chosen

    def count(self, ranks: Ranks, events: Events, snapshot: Snapshot) -> None:
        """Count trials and hits by cohort."""
        tried = np.flatnonzero(ranks.codes != NOT_TRIED)
        user_is_new = snapshot.items.token_of[events.users[tried]] < 0
        item_is_new = snapshot.users.token_of[events.items[tried]] < 0
        cohorts = 2 * user_is_new + item_is_new  # places in COHORTS
        for counter, which in (
            (PREQUENTIAL_TRIALS, np.ones(len(tried), np.bool_)),
            (PREQUENTIAL_HITS, ranks.codes[tried] < self._k),
            (PREQUENTIAL_POPULAR_HITS, ranks.popular[tried] < self._k),
        ):
            counts = np.bincount(cohorts[which], minlength=len(COHORTS))
            for cohort, count in zip(COHORTS, counts.tolist(), strict=True):
                counter.labels(cohort).inc(count)
