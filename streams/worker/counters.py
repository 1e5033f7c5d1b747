"""Counting for whole batches: a call per record would cost as much as the record."""

from collections.abc import Sequence

import numpy as np
from prometheus_client import Histogram

from streams.kafka.records import Record
from streams.metrics import DEAD_LETTERS, EVENTS
from streams.worker.context import Service, now_ms


def observe_ages(histogram: Histogram, records: Sequence[Record], *, at_ms: int | None = None) -> None:
    """Observe the seconds from each record's own time until ``at_ms`` (default: now), a bucket at a time."""
    at = now_ms() if at_ms is None else at_ms
    ages = np.array([max(at - record.timestamp_ms, 0) for record in records]) / 1000
    bounds = np.array(histogram._upper_bounds)
    counts = np.bincount(np.searchsorted(bounds, ages), minlength=len(bounds))
    for bucket, count in zip(histogram._buckets, counts.tolist(), strict=True):
        bucket.inc(count)  # as ``observe`` does for one; prometheus_client has no call for many
    histogram._sum.inc(float(ages.sum()))


def count_events(service: Service, topic: str, **outcomes: int) -> None:
    """Count records of a topic by what became of them."""
    for outcome, count in outcomes.items():
        if count:
            EVENTS.labels(service.topic_of(topic), outcome).inc(count)


def count_dead_letter(service: Service, topic: str, reason: str) -> None:
    """Count one record that can never be processed."""
    DEAD_LETTERS.labels(service.topic_of(topic), reason).inc()
    count_events(service, topic, dead_letter=1)
