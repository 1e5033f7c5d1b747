"""Ages of records, and the work that a block of code took."""

import numpy as np
import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.openmetrics import exposition as openmetrics

from streams.kafka.records import Record
from streams.metric_types import BatchHistogram
from streams.worker.counters import MAX_LOOKED_AT, observe_ages, timed

NOW = 1_000_000


TRACES = ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"]


class Seen:
    def observe_many(self, values, exemplar):
        self.values, self.exemplar = values, exemplar


def of_age(age_ms, trace=None, name="traceparent"):
    headers = () if trace is None else ((name, f"00-{trace}-b7ad6b7169203331-01".encode()),)
    return Record("ratings", 0, 0, None, None, NOW - age_ms, headers)


def observed(*records):
    observe_ages(seen := Seen(), iter(records), times_of(records), at_ms=NOW)
    return seen


def times_of(records):
    return np.array([record.timestamp_ms for record in records], np.int64)


def test_ages_are_seconds_and_never_negative():
    seen = observed(of_age(-50), of_age(0), of_age(1500))
    assert np.array_equal(seen.values, [0, 0, 1.5])
    assert seen.exemplar is None


def test_the_oldest_record_with_a_trace_is_the_exemplar_of_a_batch():
    seen = observed(of_age(10, TRACES[0]), of_age(900), of_age(250, TRACES[1]), of_age(40, TRACES[0]))
    assert seen.exemplar == (0.25, {"trace_id": TRACES[1]})


def test_headers_without_a_trace_are_no_exemplar_and_only_the_oldest_few_are_searched():
    others = [of_age(100 + at, "ff", "other") for at in range(MAX_LOOKED_AT)]
    assert observed(*others[1:], of_age(0, TRACES[0])).exemplar == (0, {"trace_id": TRACES[0]})
    assert observed(*others, of_age(0, TRACES[0])).exemplar is None


def test_a_scrape_shows_the_trace_of_a_slow_rating():
    registry = CollectorRegistry()
    histogram, records = BatchHistogram("ages", "Ages.", (0.1, 1), registry), [of_age(250, TRACES[0])]
    observe_ages(histogram, records, times_of(records), at_ms=NOW)
    text = openmetrics.generate_latest(registry).decode()
    assert f'ages_bucket{{le="1.0"}} 1.0 # {{trace_id="{TRACES[0]}"}} 0.25' in text


def test_the_duration_of_a_block_is_work_of_its_task():
    def work():
        return REGISTRY.get_sample_value("dch_work_seconds_total", {"task": "ratings"}) or 0

    before = work()
    with timed("ratings"):
        assert work() == before
    assert work() > before


def test_a_block_that_fails_is_not_counted():
    before = REGISTRY.get_sample_value("dch_work_seconds_total", {"task": "requests"})
    with pytest.raises(ZeroDivisionError), timed("requests"):
        _ = 1 / 0
    assert REGISTRY.get_sample_value("dch_work_seconds_total", {"task": "requests"}) == before
