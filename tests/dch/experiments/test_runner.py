"""A run: what is done stays done, a failure costs one job, and the pages are always there."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from dch.config import DchConfig
from dch.errors import ConfigError
from dch.experiments.runner import run_experiment
from tests.dch.experiments.jobs_in_hand import ORIGIN, GivenPart, plan_in

A, B = "fake/tiny/a/0", "fake/tiny/b/1"


def run(plan, part, **others):
    out = io.StringIO()
    done = run_experiment(plan, {part.name: part, **others}, ORIGIN, console=Console(file=out, width=200))
    return done, out.getvalue()


def test_each_job_is_written_with_where_it_comes_from_and_its_pages_too(tmp_path):
    plan = plan_in(tmp_path)
    done, shown = run(plan, GivenPart({A: 0.25, B: 0.5}))
    record = json.loads((plan.out / "jobs" / f"{A}.json").read_text())
    assert record.pop("seconds") >= 0
    assert record.pop("when").startswith("20")
    assert record == {
        "outcome": {"value": 0.25},
        "command": ORIGIN.command,
        "commit": "abc123",
        "machine": "a machine, 2 cores",
        "settings": plan.settings("tiny"),
    }
    assert (done.n_new, done.failed, [page.name for page in done.pages]) == (
        2,
        {},
        ["fake_table", "fake_plot"],
    )
    assert {path.name for path in plan.out.iterdir()} == {
        ".gitignore",
        "README.md",
        "jobs",
        "fake_table.csv",
        "fake_table.md",
        "fake_plot.png",
    }
    assert A in shown
    assert "models/" in (plan.out / ".gitignore").read_text().split()


def test_what_is_done_is_not_done_again_and_only_new_jobs_are(tmp_path):
    plan = plan_in(tmp_path)
    run(plan, GivenPart({A: 0.25}))
    again = GivenPart({A: 0.75, B: 0.5})
    done, shown = run(plan, again)
    assert again.ran == [B]
    assert (done.n_new, done.records[A].outcome) == (1, {"value": 0.25})
    assert "1 of 2 jobs are done already" in shown


@pytest.mark.parametrize(
    "changed",
    [
        lambda plan: replace(plan, config=DchConfig(steps=3)),
        lambda plan: replace(plan, quick=True),
        lambda plan: plan.data["tiny"].write_text("user,item,rating\na,b,3\na,c,4\n") and plan,
    ],
    ids=["config", "quick", "data"],
)
def test_other_settings_or_data_run_a_job_again(tmp_path, changed):
    plan = plan_in(tmp_path)
    run(plan, GivenPart({A: 0.25}))
    again = GivenPart({A: 0.75})
    done, _ = run(changed(plan), again)
    assert again.ran == [A]
    assert done.records[A].outcome == {"value": 0.75}


def test_other_settings_of_ours_leave_what_is_known_of_a_rival(tmp_path):
    plan = plan_in(tmp_path)
    run(plan, GivenPart({A: 0.25}, of_baseline=True))
    again = GivenPart({A: 0.75, B: 0.5}, of_baseline=True)
    done, _ = run(replace(plan, config=DchConfig(steps=3)), again)
    assert (again.ran, done.records[A].outcome) == ([B], {"value": 0.25})
    run(replace(plan, quick=True), again)
    assert again.ran == [B, A, B]


def test_another_number_of_threads_is_no_reason_to_run_again(tmp_path):
    plan = plan_in(tmp_path)
    run(plan, GivenPart({A: 0.25}))
    again = GivenPart({A: 0.75})
    run(replace(plan, config=DchConfig(threads=1)), again)
    assert again.ran == []


@pytest.mark.parametrize(
    ("only", "asked"),
    [
        (None, [A, B]),
        (["fake"], [A, B]),
        (["fake/tiny/b"], [B]),
        (["*/a"], [A]),
        (["*/1", "none"], [B]),
        (["none"], []),
    ],
)
def test_jobs_are_named_by_part_by_the_start_of_their_name_or_with_wildcards(tmp_path, only, asked):
    part = GivenPart({A: 0.25, B: 0.5})
    console = Console(file=io.StringIO())
    run_experiment(plan_in(tmp_path), {"fake": part}, ORIGIN, only=only, console=console)
    assert part.ran == asked


def test_a_failed_job_is_told_and_the_others_go_on_and_it_is_tried_again(tmp_path):
    plan = plan_in(tmp_path)
    done, shown = run(plan, GivenPart({A: ConfigError("bits must be 8"), B: 0.5}))
    assert list(done.failed) == [A]
    assert "bits must be 8" in done.failed[A]
    assert "failed: ConfigError: bits must be 8" in shown
    assert (done.n_new, list(done.records)) == (1, [B])
    assert "Traceback" in (plan.out / "failed" / f"{A}.txt").read_text()

    done, _ = run(plan, GivenPart({A: 0.25, B: 0.5}))
    assert (done.n_new, done.failed) == (1, {})
    assert not (plan.out / "failed" / f"{A}.txt").exists()


def test_an_outcome_that_json_does_not_know_is_a_failed_job(tmp_path):
    done, _ = run(plan_in(tmp_path), GivenPart({A: object(), B: 0.5}))
    assert "which JSON does not know" in done.failed[A]
    assert not (tmp_path / "out" / "jobs" / f"{A}.json").exists()


def test_an_interrupt_ends_the_run_and_leaves_what_is_done(tmp_path):
    plan = plan_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(plan, GivenPart({A: 0.25, B: KeyboardInterrupt()}))
    done, _ = run(plan, GivenPart({A: 0.75, B: 0.5}))
    assert (done.n_new, done.records[A].outcome) == (1, {"value": 0.25})


def test_half_a_record_is_none(tmp_path):
    plan = plan_in(tmp_path)
    run(plan, GivenPart({A: 0.25}))
    path = plan.out / "jobs" / f"{A}.json"
    path.write_text(path.read_text()[:40])
    again = GivenPart({A: 0.75})
    run(plan, again)
    assert again.ran == [A]


def test_a_part_that_cannot_list_or_show_costs_itself_alone(tmp_path):
    class NoJobs(GivenPart):
        def jobs(self, plan):
            raise ConfigError("no data")

    class NoPages(GivenPart):
        def pages(self, outcomes):
            raise KeyError("gone")

    bad = {"one": NoJobs({}, "one"), "two": NoPages({"two/tiny/0": 0.1}, "two")}
    done, _ = run(plan_in(tmp_path), GivenPart({A: 0.25}), **bad)
    assert set(done.failed) == {"one", "pages of two"}
    assert (done.n_new, "fake_table" in {page.name for page in done.pages}) == (2, True)


def test_a_part_sees_its_own_outcomes_alone(tmp_path):
    other = GivenPart({"other/tiny/0": 0.125}, "other")
    run(plan_in(tmp_path), GivenPart({A: 0.25}), other=other)
    assert "0.125" not in (tmp_path / "out" / "fake_table.csv").read_text()
    assert "0.125" in (tmp_path / "out" / "other_table.csv").read_text()


def test_without_matplotlib_the_tables_are_written_and_the_run_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    done, shown = run(plan_in(tmp_path), GivenPart({A: 0.25}))
    assert "pip install 'dch-streams[experiment]'" in done.failed["plots"]
    assert "pip install 'dch-streams[experiment]'" in shown
    assert (tmp_path / "out" / "fake_table.csv").exists()
    assert not (tmp_path / "out" / "fake_plot.png").exists()


@pytest.mark.parametrize("name", ["fake/tiny/c", "fake/tin", "fake/tiny/a/1", "*/c"])
def test_a_name_that_is_nobody_s_is_an_error_before_anything_runs(tmp_path, name):
    part = GivenPart({A: 0.25, B: 0.5})
    with pytest.raises(ConfigError, match=r"no job is named .*; there is, for example, fake/tiny/a/0"):
        run_experiment(
            plan_in(tmp_path), {"fake": part}, ORIGIN, only=[name, A], console=Console(file=io.StringIO())
        )
    assert part.ran == []


def test_a_part_without_jobs_may_be_named(tmp_path):
    console = Console(file=io.StringIO())
    parts = {"fake": GivenPart({A: 0.25}), "empty": GivenPart({}, "empty")}
    done = run_experiment(plan_in(tmp_path), parts, ORIGIN, only=["empty"], console=console)
    assert (done.n_new, done.failed) == (0, {})


def test_somebody_s_own_files_are_not_written_over(tmp_path):
    plan = plan_in(tmp_path)
    plan.out.mkdir()
    (plan.out / ".gitignore").write_text("mine")
    run(plan, GivenPart({A: 0.25}))
    assert (plan.out / ".gitignore").read_text() == "mine"
    (plan.out / "README.md").write_text("# My project")
    part = GivenPart({B: 0.5})
    with pytest.raises(ConfigError, match=r"README.md is not of an experiment.*give a folder of its own"):
        run(plan, part)
    assert (part.ran, (plan.out / "README.md").read_text()) == ([], "# My project")


def test_a_refused_run_writes_nothing(tmp_path):
    plan = plan_in(tmp_path)
    console = Console(file=io.StringIO())
    with pytest.raises(ConfigError):
        run_experiment(plan, {"fake": GivenPart({A: 0.1})}, ORIGIN, only=["fake/no"], console=console)
    assert not plan.out.exists()
