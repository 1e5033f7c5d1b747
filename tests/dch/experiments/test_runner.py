"""A run caches finished jobs, reports failed ones, and always writes the pages."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from dch.config import DchConfig
from dch.errors import ConfigError
from dch.experiments.job_store import FILE, JobStore
from dch.experiments.runner import run_experiment
from tests.dch.experiments.fake_part import ORIGIN, FakePart, plan_in

A, B = "fake/tiny/a/0", "fake/tiny/b/1"


def run(plan, part, **others):
    out = io.StringIO()
    done = run_experiment(plan, {part.name: part, **others}, ORIGIN, console=Console(file=out, width=200))
    return done, out.getvalue()


def test_each_result_is_saved_with_its_origin_and_shown_on_the_pages(tmp_path):
    plan = plan_in(tmp_path)
    done, shown = run(plan, FakePart({A: 0.25, B: 0.5}))
    saved = JobStore(plan.out).results()
    assert set(saved) == {A, B}
    result = saved[A]
    assert (result.outcome, result.settings) == ({"value": 0.25}, plan.settings("tiny"))
    assert (result.command, result.commit, result.machine) == (ORIGIN.command, "abc123", "a machine, 2 cores")
    assert result.seconds >= 0
    assert result.when.startswith("20")
    assert (done.n_new, done.failed, [page.name for page in done.pages]) == (
        2,
        {},
        ["fake_table", "fake_plot"],
    )
    assert {path.name for path in plan.out.iterdir()} == {
        ".gitignore",
        ".jobs.lock",
        "README.md",
        "jobs.json.gz",
        "fake_table.csv",
        "fake_table.md",
        "fake_plot.png",
    }
    assert A in shown
    assert {"models/", "failed/", ".jobs.lock"} <= set((plan.out / ".gitignore").read_text().split())


def test_finished_jobs_are_not_run_again(tmp_path):
    plan = plan_in(tmp_path)
    run(plan, FakePart({A: 0.25}))
    again = FakePart({A: 0.75, B: 0.5})
    done, shown = run(plan, again)
    assert again.ran == [B]
    assert (done.n_new, done.results[A].outcome) == (1, {"value": 0.25})
    assert "1 of 2 jobs are already done" in shown


@pytest.mark.parametrize(
    "changed",
    [
        lambda plan: replace(plan, config=DchConfig(steps=3)),
        lambda plan: replace(plan, quick=True),
        lambda plan: plan.data["tiny"].write_text("user,item,rating\na,b,3\na,c,4\n") and plan,
    ],
    ids=["config", "quick", "data"],
)
def test_a_job_runs_again_with_other_settings_or_data(tmp_path, changed):
    plan = plan_in(tmp_path)
    run(plan, FakePart({A: 0.25}))
    again = FakePart({A: 0.75})
    done, _ = run(changed(plan), again)
    assert again.ran == [A]
    assert done.results[A].outcome == {"value": 0.75}


def test_results_of_baselines_stay_valid_when_dch_settings_change(tmp_path):
    plan = plan_in(tmp_path)
    run(plan, FakePart({A: 0.25}, of_baseline=True))
    again = FakePart({A: 0.75, B: 0.5}, of_baseline=True)
    done, _ = run(replace(plan, config=DchConfig(steps=3)), again)
    assert (again.ran, done.results[A].outcome) == ([B], {"value": 0.25})
    run(replace(plan, quick=True), again)
    assert again.ran == [B, A, B]


def test_results_stay_valid_when_the_number_of_threads_changes(tmp_path):
    plan = plan_in(tmp_path)
    run(plan, FakePart({A: 0.25}))
    again = FakePart({A: 0.75})
    run(replace(plan, config=replace(plan.config, threads=1)), again)
    assert again.ran == []


@pytest.mark.parametrize(
    ("only", "selected"),
    [
        (None, [A, B]),
        (["fake"], [A, B]),
        (["fake/tiny/b"], [B]),
        (["*/a"], [A]),
        (["*/1", "none"], [B]),
        (["none"], []),
    ],
)
def test_jobs_are_selected_by_part_by_the_start_of_their_name_or_with_wildcards(tmp_path, only, selected):
    part = FakePart({A: 0.25, B: 0.5})
    console = Console(file=io.StringIO())
    run_experiment(plan_in(tmp_path), {"fake": part}, ORIGIN, only=only, console=console)
    assert part.ran == selected


def test_a_failed_job_is_reported_the_rest_still_run_and_the_next_run_tries_it_again(tmp_path):
    plan = plan_in(tmp_path)
    done, shown = run(plan, FakePart({A: ConfigError("bits must be 8"), B: 0.5}))
    assert list(done.failed) == [A]
    assert "bits must be 8" in done.failed[A]
    assert "failed: ConfigError: bits must be 8" in shown
    assert (done.n_new, list(done.results)) == (1, [B])
    assert "Traceback" in (plan.out / "failed" / f"{A}.txt").read_text()

    done, _ = run(plan, FakePart({A: 0.25, B: 0.5}))
    assert (done.n_new, done.failed) == (1, {})
    assert not (plan.out / "failed" / f"{A}.txt").exists()


def test_an_outcome_that_json_cannot_represent_is_a_failed_job(tmp_path):
    done, _ = run(plan_in(tmp_path), FakePart({A: object(), B: 0.5}))
    assert "which JSON cannot represent" in done.failed[A]
    assert set(JobStore(tmp_path / "out").results()) == {B}


def test_an_interrupted_run_resumes_after_the_finished_jobs(tmp_path):
    plan = plan_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(plan, FakePart({A: 0.25, B: KeyboardInterrupt()}))
    done, _ = run(plan, FakePart({A: 0.75, B: 0.5}))
    assert (done.n_new, done.results[A].outcome) == (1, {"value": 0.25})


def test_a_truncated_job_store_stops_the_run_before_any_job(tmp_path):
    plan = plan_in(tmp_path)
    run(plan, FakePart({A: 0.25}))
    path = plan.out / FILE
    path.write_bytes(path.read_bytes()[:40])
    again = FakePart({A: 0.75})
    with pytest.raises(ConfigError, match="truncated or not a job store"):
        run(plan, again)
    assert (again.ran, path.stat().st_size) == ([], 40)


def test_the_pages_show_what_another_process_added_during_the_run(tmp_path):
    plan = plan_in(tmp_path)

    class Shared(FakePart):
        def _run(self, name):
            if name == A:  # meanwhile another process finishes the other job
                other = FakePart({A: 0.25, B: 0.5})
                run_experiment(plan, {"fake": other}, ORIGIN, only=[B], console=Console(file=io.StringIO()))
            return super()._run(name)

    part = Shared({A: 0.25, B: 0.5})
    done = run_experiment(plan, {"fake": part}, ORIGIN, only=[A], console=Console(file=io.StringIO()))
    assert (part.ran, set(done.results)) == ([A], {A, B})
    assert B in (plan.out / "fake_table.csv").read_text()


def test_a_part_that_fails_to_list_its_jobs_or_make_its_pages_does_not_stop_the_others(tmp_path):
    class NoJobs(FakePart):
        def jobs(self, plan):
            raise ConfigError("no data")

    class NoPages(FakePart):
        def pages(self, outcomes):
            raise KeyError("gone")

    bad = {"one": NoJobs({}, "one"), "two": NoPages({"two/tiny/0": 0.1}, "two")}
    done, _ = run(plan_in(tmp_path), FakePart({A: 0.25}), **bad)
    assert set(done.failed) == {"one", "pages of two"}
    assert (done.n_new, "fake_table" in {page.name for page in done.pages}) == (2, True)


def test_a_part_gets_only_its_own_outcomes(tmp_path):
    other = FakePart({"other/tiny/0": 0.125}, "other")
    run(plan_in(tmp_path), FakePart({A: 0.25}), other=other)
    assert "0.125" not in (tmp_path / "out" / "fake_table.csv").read_text()
    assert "0.125" in (tmp_path / "out" / "other_table.csv").read_text()


def test_without_matplotlib_the_tables_are_written_and_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    done, shown = run(plan_in(tmp_path), FakePart({A: 0.25}))
    assert "pip install -c constraints.txt '.[experiment]'" in done.failed["plots"]
    assert "pip install -c constraints.txt '.[experiment]'" in shown
    assert (tmp_path / "out" / "fake_table.csv").exists()
    assert not (tmp_path / "out" / "fake_plot.png").exists()


@pytest.mark.parametrize("name", ["fake/tiny/c", "fake/tin", "fake/tiny/a/1", "*/c"])
def test_a_name_that_matches_no_job_is_an_error_before_any_job_runs(tmp_path, name):
    part = FakePart({A: 0.25, B: 0.5})
    with pytest.raises(ConfigError, match=r"no job matches .*; one of the jobs is fake/tiny/a/0"):
        run_experiment(
            plan_in(tmp_path), {"fake": part}, ORIGIN, only=[name, A], console=Console(file=io.StringIO())
        )
    assert part.ran == []


def test_a_part_without_jobs_may_be_selected(tmp_path):
    console = Console(file=io.StringIO())
    parts = {"fake": FakePart({A: 0.25}), "empty": FakePart({}, "empty")}
    done = run_experiment(plan_in(tmp_path), parts, ORIGIN, only=["empty"], console=console)
    assert (done.n_new, done.failed) == (0, {})


def test_files_of_others_are_not_overwritten(tmp_path):
    plan = plan_in(tmp_path)
    plan.out.mkdir()
    (plan.out / ".gitignore").write_text("mine")
    run(plan, FakePart({A: 0.25}))
    assert (plan.out / ".gitignore").read_text() == "mine"
    (plan.out / "README.md").write_text("# My project")
    part = FakePart({B: 0.5})
    with pytest.raises(
        ConfigError, match=r"README.md was not written by an experiment.*choose another output folder"
    ):
        run(plan, part)
    assert (part.ran, (plan.out / "README.md").read_text()) == ([], "# My project")


def test_a_refused_run_writes_nothing(tmp_path):
    plan = plan_in(tmp_path)
    console = Console(file=io.StringIO())
    with pytest.raises(ConfigError):
        run_experiment(plan, {"fake": FakePart({A: 0.1})}, ORIGIN, only=["fake/no"], console=console)
    assert not plan.out.exists()
