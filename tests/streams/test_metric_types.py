"""Metrics of our own kinds: a histogram for batches, and gauges that change together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from streams import metric_types
from streams.metric_types import CATALOGUE, BatchHistogram, GaugeGroup

BUCKETS = (0.01, 0.1, 1)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.011, 0.1, 0.101, 1.0, 5.0]))))
def test_many_values_are_observed_like_one_by_one(batches):
    registries = CollectorRegistry(), CollectorRegistry()
    many = BatchHistogram("ages", "Ages.", BUCKETS, registry=registries[0])
    single = Histogram("ages", "Ages.", buckets=BUCKETS, registry=registries[1])
    for batch in batches:
        many.observe_many(np.array(batch, np.float64))
        for value in batch:
            single.observe(value)
    found = [
        {
            (one.name, *one.labels.values()): round(one.value, 9)
            for family in registry.collect()
            for one in family.samples
        }
        for registry in registries
    ]
    assert found[0] == found[1]


def test_each_bucket_keeps_its_last_exemplar():
    registries = CollectorRegistry(), CollectorRegistry()
    many = BatchHistogram("ages", "Ages.", BUCKETS, registry=registries[0])
    single = Histogram("ages", "Ages.", buckets=BUCKETS, registry=registries[1])
    for value in (0.005, 0.5, 0.007, 3.0):
        many.observe_many(np.array([value]), (value, {"trace_id": f"of {value}"}))
        single.observe(value, exemplar={"trace_id": f"of {value}"})
    many.observe_many(np.array([0.001]))
    single.observe(0.001)
    found = [
        {
            tuple(one.labels.values()): one.exemplar and one.exemplar[:2]
            for family in registry.collect()
            for one in family.samples
        }
        for registry in registries
    ]
    assert found[0] == found[1]
    assert found[0]["0.01",] == ({"trace_id": "of 0.007"}, 0.007)


def test_a_name_is_declared_once():
    with pytest.raises(ValueError, match="declared twice"):
        metric_types.counter("dch_events_total", "Again.", jump="None.", roles="worker")


def test_a_scrape_sees_the_gauges_of_a_group_at_one_moment(monkeypatch):
    monkeypatch.setattr("streams.metric_types.CATALOGUE", dict(CATALOGUE))
    registry = CollectorRegistry()
    group = GaugeGroup(registry)
    lists, hits = (
        group.gauge(name, "Of a window.", jump="-", roles="observer", labels={"window": ("1h", "24h")})
        for name in ("test_lists", "test_hits")
    )
    group.replace({lists: {("1h",): 2, ("24h",): 5}, hits: {("1h",): 1}})
    scrape = group.collect()
    first = next(scrape)
    group.replace(
        {lists: {("24h",): 6}, hits: {("24h",): 6}}
    )  # the scrape has read the lists, not yet the hits
    seen = [(one.name, one.labels, one.value) for family in (first, *scrape) for one in family.samples]
    assert seen == [(lists, {"window": "1h"}, 2), (lists, {"window": "24h"}, 5), (hits, {"window": "1h"}, 1)]
    assert registry.get_sample_value(hits, {"window": "24h"}) == 6
    assert registry.get_sample_value(lists, {"window": "1h"}) is None
