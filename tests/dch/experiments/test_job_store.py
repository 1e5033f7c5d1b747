"""The job store: one compressed file that no process loses results in and no error overwrites."""

import gzip
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from dch.errors import ConfigError
from dch.experiments.job_store import FILE, JobResult, JobStore
from dch.experiments.parts import PARTS
from dch.experiments.plan import Plan
from dch.experiments.reports.goal_list import GOALS
from dch.experiments.runner import finished, run_experiment
from tests.dch.experiments.fake_part import ORIGIN

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "docs" / "results"
DATA = ("ml-1m", "amazon-books", "yelp", "amazon-timed")


def result_of(value):
    return JobResult.of({"value": value}, 1.5, ORIGIN, "digest")


def test_results_and_tuned_settings_are_read_back(tmp_path):
    store = JobStore(tmp_path)
    assert (store.results(), store.tuned("a-key")) == ({}, None)
    store.put("tables/yelp/dcf/0", result_of(0.25))
    store.put("tables/yelp/dcf/1", result_of(0.5))
    assert store.put_tuned("a-key", {"settings": {"alpha": 5.0}}) == {"settings": {"alpha": 5.0}}
    again = JobStore(tmp_path)
    assert {name: found.outcome["value"] for name, found in again.results().items()} == {
        "tables/yelp/dcf/0": 0.25,
        "tables/yelp/dcf/1": 0.5,
    }
    assert again.results()["tables/yelp/dcf/0"].origin.command == ORIGIN.command
    assert again.tuned("a-key") == {"settings": {"alpha": 5.0}}


def test_equal_results_are_equal_bytes_in_whatever_order_they_were_saved(tmp_path):
    results = {"a/0": result_of(0.25), "b/0": result_of(0.5)}
    for folder, names in (("one", ["a/0", "b/0"]), ("two", ["b/0", "a/0"])):
        for name in names:
            JobStore(tmp_path / folder).put(name, results[name])
    one, two = ((tmp_path / folder / FILE).read_bytes() for folder in ("one", "two"))
    assert one == two
    assert one[4:8] == bytes(4)  # the time in the gzip header


SAVE_TEN = """
import sys
from pathlib import Path
from dch.experiments.job_store import JobResult, JobStore
from dch.experiments.provenance import Origin
_, folder, name = sys.argv
result = JobResult.of({}, 1.5, Origin("command", "commit", "machine", "2026-01-02"), "digest")
for number in range(10):
    JobStore(Path(folder)).put(f"{name}/{number}", result)
"""


def test_processes_that_share_a_folder_keep_each_other_s_results(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", SAVE_TEN, tmp_path, name], cwd=ROOT) for name in ("a", "b")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    expected = {f"{name}/{number}" for name in ("a", "b") for number in range(10)}
    assert set(JobStore(tmp_path).results()) == expected


def truncated(content):
    return content[: len(content) // 2]


def of_a_newer_format(content):
    fields = msgspec.json.decode(gzip.decompress(content))
    return gzip.compress(msgspec.json.encode({**fields, "format_version": 2}))


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        of_a_newer_format,
        lambda content: b"",
        lambda content: b"not gzip",
        lambda content: content[:40] + bytes(20) + content[60:],
        lambda content: gzip.compress(b"not JSON"),
        lambda content: gzip.compress(b"{}"),
        lambda content: gzip.compress(b'{"format": "other", "format_version": 1, "jobs": {}, "tuned": {}}'),
    ],
    ids=["truncated", "newer", "empty", "not gzip", "corrupt", "not JSON", "no format", "other format"],
)
def test_a_damaged_or_foreign_file_is_an_error_and_is_never_overwritten(tmp_path, damage):
    store, path = JobStore(tmp_path), tmp_path / FILE
    store.put("a/0", result_of(0.25))
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    for action in (
        store.results,
        lambda: store.put("b/0", result_of(0.5)),
        lambda: store.put_tuned("a-key", {}),
    ):
        with pytest.raises(ConfigError, match=r"jobs.json.gz is truncated or not a job store .*; restore it"):
            action()
    assert path.read_bytes() == before


@pytest.fixture
def committed_plan(real_data, tmp_path):
    """A plan over all data sets whose output folder has a copy of the committed job store."""
    data = {name: real_data(name) for name in DATA}
    shutil.copy(COMMITTED / FILE, tmp_path / FILE)
    return Plan(data, tmp_path)


def committed_jobs(plan):
    """Return the jobs of which there are results; parts that take hours are not run with every change."""
    stored = JobStore(COMMITTED).results()
    return [job for part in PARTS.values() for job in part.jobs(plan) if job.name in stored]


@pytest.mark.realdata
def test_the_committed_job_store_has_only_results_of_the_present_jobs_and_settings(committed_plan):
    store = JobStore(committed_plan.out)
    jobs = committed_jobs(committed_plan)
    assert set(finished(committed_plan, store, jobs)) == {job.name for job in jobs} == set(store.results())
    assert {f"goals/{name}/codes/{committed_plan.seeds[0]}" for name in GOALS} <= set(store.results())


@pytest.mark.realdata
def test_a_run_on_the_committed_job_store_runs_no_job_again_and_writes_the_committed_tables(
    committed_plan, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # drawing takes ten seconds
    jobs = committed_jobs(committed_plan)
    done = finished(committed_plan, JobStore(committed_plan.out), jobs)
    assert len(done) == len(jobs)  # otherwise the run below would take hours
    run = run_experiment(committed_plan, PARTS, ORIGIN, only=set(done), console=Console(file=StringIO()))
    assert (run.n_new, set(run.failed), len(run.results)) == (0, {"plots"}, len(jobs))
    tables = sorted(path.name for path in COMMITTED.glob("*.csv"))
    assert sorted(path.name for path in committed_plan.out.glob("*.csv")) == tables
    for name in tables:
        assert (committed_plan.out / name).read_text() == (COMMITTED / name).read_text(), name
