"""Observing a batch gives what observing one by one gives."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from streams.worker.counters import observe_ages
from tests.streams.messages.records import record

NOW = 1_000_000


@given(st.lists(st.sampled_from([-50, 0, 1, 10, 11, 100, 101, 5000])))
def test_a_batch_of_ages_is_observed_like_one_by_one(ages_ms):
    buckets = (0.01, 0.1, 1)
    many, single = (
        Histogram("ages", "Ages.", buckets=buckets, registry=CollectorRegistry()) for _ in range(2)
    )
    observe_ages(many, [record("{}", timestamp_ms=NOW - age) for age in ages_ms], at_ms=NOW)
    for age in ages_ms:
        single.observe(max(age, 0) / 1000)
    samples = [
        [(sample.name, sample.labels, round(sample.value, 9)) for sample in found.collect()[0].samples]
        for found in (many, single)
    ]
    assert [left[:-1] for left in samples[0]] == [right[:-1] for right in samples[1]]
    values = [[value for name, _, value in found if not name.endswith("_created")] for found in samples]
    assert values[0] == values[1]
