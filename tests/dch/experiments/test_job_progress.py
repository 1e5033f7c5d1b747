"""The estimated time left, and times as text."""

import pytest

from dch.experiments.job_progress import duration, seconds_left


@pytest.mark.parametrize(
    ("seconds", "shown"), [(4.21, "4.2 s"), (200, "3 min"), (7500, "2 h 5 min"), (59.99, "60.0 s")]
)
def test_a_time_is_shown_with_its_unit(seconds, shown):
    assert duration(seconds) == shown


def test_the_time_of_a_job_is_estimated_from_the_same_job_with_other_seeds_or_from_all_jobs():
    done = {"a/x/0": 10.0, "a/x/1": 20.0, "a/y/0": 3.0}
    assert seconds_left(["a/x/2", "b/z/0"], done) == 15 + 11
    assert seconds_left(["b/z/0"], {}) == 30
    assert seconds_left([], done) == 0
