"""Names and outcomes of jobs."""

import pytest

from dch.experiments.job import Job, JobName, look_up
from tests.dch.experiments.fake_part import plan_in


@pytest.mark.parametrize(
    ("keys", "found"), [("ab", 2.0), ("ax", None), ("abc", None), ("t", None), ("", None)]
)
def test_a_number_is_looked_up_by_nested_keys(keys, found):
    assert look_up({"a": {"b": 2}, "t": "text"}, *keys) == found


def test_a_job_name_has_four_components():
    assert JobName.of("tables/ml-1m/dcf/2") == ("tables", "ml-1m", "dcf", 2)


def test_the_settings_of_a_job_are_those_of_the_data_set_in_its_name(tmp_path):
    plan = plan_in(tmp_path)
    job = Job("tables/tiny/dcf/0", dict, of_baseline=True)
    assert job.settings(plan) == plan.settings("tiny", of_baseline=True)
    assert Job("tables/other/dch/0", dict).settings(plan) == plan.settings(None)
