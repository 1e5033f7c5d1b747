"""Ages of records, and the work that a block of code took."""

import numpy as np
import pytest
from prometheus_client import REGISTRY

from streams.worker.counters import observe_ages, timed

NOW = 1_000_000


class Seen:
    def observe_many(self, values):
        self.values = values


def test_ages_are_seconds_and_never_negative():
    seen = Seen()
    observe_ages(seen, NOW - np.array([-50, 0, 1500]), at_ms=NOW)
    assert np.array_equal(seen.values, [0, 0, 1.5])


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
