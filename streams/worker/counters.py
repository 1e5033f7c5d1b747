"""Metrics of the worker, updated once per batch: one call per record would cost as much as applying it."""

import time
from collections.abc import Sequence

import numpy as np
from prometheus_client import Histogram

from dch.state.state import State
from streams.kafka import Consumer
from streams.kafka.records import Record
from streams.metrics import (
    CONSUMER_LAG_RECORDS,
    CONSUMER_LAG_SECONDS,
    EVENTS,
    STORE_BYTES,
    STORE_CODES,
)
from streams.settings import WorkerSettings
from streams.worker.context import now_ms

GAUGE_INTERVAL_S = 1.0


def count_events(settings: WorkerSettings, topic: str, **outcomes: int) -> None:
    """Count records of a topic (full name) by outcome, such as ``applied=3``."""
    for outcome, count in outcomes.items():
        if count:
            EVENTS.labels(topic.removeprefix(settings.prefix), outcome).inc(count)


def observe_ages(histogram: Histogram, records: Sequence[Record], *, at_ms: int | None = None) -> None:
    """Observe the age of each record, in seconds: from its own time until ``at_ms`` (default: now).

    Equal to one ``observe`` per record, but each bucket is incremented once. prometheus_client has no public
    call for this.
    """
    at = now_ms() if at_ms is None else at_ms
    ages = np.array([max(at - record.timestamp_ms, 0) for record in records]) / 1000
    bounds = np.array(histogram._upper_bounds)
    counts = np.bincount(np.searchsorted(bounds, ages), minlength=len(bounds))
    for bucket, count in zip(histogram._buckets, counts.tolist(), strict=True):
        bucket.inc(count)
    histogram._sum.inc(float(ages.sum()))


class Gauges:
    """Gauges of lag and memory, set by the ingest thread about once a second."""

    def __init__(self, state: State, consumer: Consumer) -> None:
        self._state = state
        self._consumer = consumer
        self._updated_at = 0.0
        self._newest_ms = 0

    def update(self, records: Sequence[Record]) -> None:
        """Set the gauges if the interval has passed. Call it after each poll, with the records polled."""
        if records:
            self._newest_ms = records[-1].timestamp_ms
        if time.monotonic() - self._updated_at < GAUGE_INTERVAL_S:
            return
        self._updated_at = time.monotonic()
        lag = sum(self._consumer.lag().values())
        CONSUMER_LAG_RECORDS.set(lag)
        CONSUMER_LAG_SECONDS.set(max(now_ms() - self._newest_ms, 0) / 1000 if lag else 0)
        for side, n_codes in zip(("user", "item"), self._state.n_codes(), strict=True):
            STORE_CODES.labels(side).set(n_codes)
        STORE_BYTES.set(self._state.nbytes)
