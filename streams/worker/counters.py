"""Metrics of the worker, updated once per batch: one call per record would cost as much as applying it."""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import nsmallest
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from dch.state.state import State
from streams.kafka import Consumer, Partition
from streams.kafka.lag import Lag
from streams.kafka.records import Record
from streams.messages.headers import trace_id
from streams.metric_types import BatchHistogram
from streams.metrics import EVENTS, STORE_BYTES, STORE_CODES, STORE_RATINGS, WORK_SECONDS
from streams.settings import WorkerSettings
from streams.worker.context import now_ms

GAUGE_INTERVAL_S = 1.0
MAX_LOOKED_AT = 16
"""Records of a batch whose headers are searched for a trace."""


def count_events(settings: WorkerSettings, topic: str, **outcomes: int) -> None:
    """Count records of a topic (full name) by outcome, such as ``applied=3``."""
    for outcome, count in outcomes.items():
        if count:
            EVENTS.labels(topic.removeprefix(settings.prefix), outcome).inc(count)


def observe_ages(
    histogram: BatchHistogram,
    records: Iterable[Record],
    times: NDArray[np.int64],
    *,
    at_ms: int | None = None,
) -> None:
    """Observe the ages of records in seconds, until ``at_ms`` (default: now).

    The exemplar is the trace of the oldest record that has one.

    Args:
        histogram: takes the ages.
        records: n records; they are looked through once.
        times: (n,) their times, in ms since 1970.
        at_ms: since 1970.
    """
    at = now_ms() if at_ms is None else at_ms
    found = oldest_trace(records)
    exemplar = None if found is None else (max(at - found[0], 0) / 1000, {"trace_id": found[1]})
    histogram.observe_many(np.maximum(at - times, 0) / 1000, exemplar)


def oldest_trace(records: Iterable[Record]) -> tuple[int, str] | None:
    """Return the time, in ms, and the trace id of the oldest record that has one.

    Of the records with headers the oldest few are looked at, so a batch costs no more if none has a trace.
    """
    with_headers = (record for record in records if record.headers)
    for record in nsmallest(MAX_LOOKED_AT, with_headers, key=attrgetter("timestamp_ms")):
        if (found := trace_id(record.headers)) is not None:
            return record.timestamp_ms, found
    return None


@contextmanager
def timed(task: str) -> Iterator[None]:
    """Add the duration of the block to the work of a task."""
    started = time.perf_counter()
    yield
    WORK_SECONDS.labels(task).inc(time.perf_counter() - started)


class Gauges:
    """Gauges of lag and memory, set by the ingest thread about once a second."""

    def __init__(self, settings: WorkerSettings, state: State, consumer: Consumer) -> None:
        self._state = state
        self._consumer = consumer
        self._updated_at = 0.0
        self._lag = Lag(settings.prefix)

    def update(self, records: Sequence[Record], assigned: Collection[Partition]) -> None:
        """Set the gauges if the interval has passed.

        Call it after each poll, with the records polled and the partitions that this worker owns.
        """
        self._lag.note(records)
        if time.monotonic() - self._updated_at < GAUGE_INTERVAL_S:
            return
        self._updated_at = time.monotonic()
        self._lag.show(self._consumer.lag(), assigned, now_ms())
        for side, n_codes in zip(("user", "item"), self._state.n_codes(), strict=True):
            STORE_CODES.labels(side).set(n_codes)
        STORE_RATINGS.set(self._state.n_ratings)
        for kind, n_bytes in self._state.bytes_by_kind().items():
            STORE_BYTES.labels(kind).set(n_bytes)
