"""The histogram for batches gives what observing one by one gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from streams import metric_types
from streams.metric_types import BatchHistogram

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


def test_a_name_is_declared_once():
    with pytest.raises(ValueError, match="declared twice"):
        metric_types.counter("dch_events_total", "Again.", jump="None.", roles="worker")
