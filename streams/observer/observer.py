"""The observer without Kafka: what a record of `served` does, and what is shown of it all."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages import ServedList, decode_kept, decode_served
from streams.messages.served import Served
from streams.metrics import EVENTS
from streams.observer.joins import MEASURES, N_MEASURES, JoinedLists, Label, Names
from streams.observer.shown import window_gauges
from streams.observer.windows import MINUTE_MS, joined
from streams.served_metrics import (
    OBSERVER_NEWEST_TIMESTAMP_SECONDS,
    OBSERVER_STATE_BYTES,
    SERVED_DROPPED,
    SERVED_HITS,
    SERVED_ITEMS,
    SERVED_LISTS,
    SERVED_NEW_ITEMS,
    SERVED_POPULARITY,
    SERVED_RATINGS,
    SERVED_REPEATED_ITEMS,
    SERVED_WINDOWS,
    WITHIN,
)

COUNTERS = (SERVED_LISTS, SERVED_ITEMS, SERVED_NEW_ITEMS, SERVED_REPEATED_ITEMS, SERVED_POPULARITY)
"""In the order of MEASURES."""


class Counted(NamedTuple):
    """What follows from some records of `served`."""

    kept: dict[int, list[Served]]
    """By partition, to keep in the changelog: all that is not late. A copy is kept again, because the record
    that it copies may have been lost on its way."""

    bad: list[tuple[Record, BadRecord]]
    """Records that can never be counted."""


class Observer:
    """Counts the partitions of `served` that one process owns, and sets the metrics."""

    def __init__(self) -> None:
        self._names = Names()
        self._counted: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._is_paused = False
        self.partitions: dict[int, JoinedLists] = {}

    def observe(self, records: Sequence[Record]) -> Counted:
        """Count records of `served`, those of a partition in the order of their offsets."""
        counted, outcomes = Counted(defaultdict(list), []), Tally[str]()
        for record in records:
            try:
                found = decode_served(record)
            except BadRecord as reason:
                counted.bad.append((record, reason))
                continue
            outcome = self._partition(record.partition).apply(found)
            if outcome != "late":
                counted.kept[record.partition].append(found)
            outcomes[outcome] += 1
            if outcome == "applied" and not isinstance(found, ServedList):
                outcomes["yes" if found.liked else "no"] += 1
        _add(outcomes)
        return counted

    def restore(self, record: Record) -> None:
        """Take in what was counted before, by this process or another one."""
        try:
            found = decode_kept(record)
        except BadRecord:
            return  # observers write only what they could decode, and nothing can be done about the rest
        part = self._partition(record.partition)
        for one in found:
            part.apply(one)

    def pause(self) -> None:
        """Show nothing until ``restored``. What was counted so far is shown first."""
        if not self._is_paused:
            self._count()
        self._is_paused = True

    def restored(self, partitions: Iterable[int]) -> None:
        """Own exactly these partitions from now on. What they hold now was counted before."""
        self.partitions = {number: self._partition(number) for number in sorted(set(partitions))}
        self._counted = self._totals()
        self._is_paused = False

    def show(self) -> None:
        """Set the metrics to what was counted."""
        if self._is_paused:
            return
        self._count()
        parts = list(self.partitions.values())
        newest_ms = max((part.newest_ms for part in parts), default=0)
        OBSERVER_NEWEST_TIMESTAMP_SECONDS.set(newest_ms / 1000)
        OBSERVER_STATE_BYTES.set(sum(part.nbytes for part in parts))
        lists = joined([part.lists.kept for part in parts]) if parts else JoinedLists(self._names).lists.kept
        SERVED_WINDOWS.replace(window_gauges(lists, self._names.labels, newest_ms // MINUTE_MS))

    def _partition(self, number: int) -> JoinedLists:
        return self.partitions.setdefault(number, JoinedLists(self._names))

    def _totals(self) -> dict[tuple[int, int], NDArray[np.int64]]:
        """Return the totals, by partition and label row."""
        return {
            (number, row): total
            for number, part in self.partitions.items()
            for row, total in part.totals.items()
        }

    def _count(self) -> None:
        """Add to the counters what came since the last time."""
        totals = self._totals()
        for (number, row), total in totals.items():
            before = self._counted.get((number, row), np.zeros(N_MEASURES, np.int64))
            self._add(self._names.labels[row], (total - before).tolist())
        self._counted = totals

    def _add(self, label: Label, values: list[int]) -> None:
        if any(values):
            for counter, value in zip(COUNTERS, values, strict=False):
                counter.labels(*label).inc(value)
            for within, value in zip(WITHIN, values[len(MEASURES) :], strict=True):
                SERVED_HITS.labels(*label, within).inc(value)


def _add(outcomes: Mapping[str, int]) -> None:
    """Add the outcomes of records to the counters."""
    for counter, labels in (
        (EVENTS, {"applied": ("served", "applied")}),
        (SERVED_RATINGS, {"yes": ("yes",), "no": ("no",)}),
        (SERVED_DROPPED, {"repeated": ("repeated",), "late": ("late",)}),
    ):
        for outcome, values in labels.items():
            if n := outcomes.get(outcome):
                counter.labels(*values).inc(n)
