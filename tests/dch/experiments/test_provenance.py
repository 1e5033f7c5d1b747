"""The origin of figures: the commit, changed or not, and several runs as one."""

import subprocess

import pytest

from dch.experiments.provenance import Origin, commit_of, joined, machine


@pytest.fixture
def checkout(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "--quiet")
    (tmp_path / "dch").mkdir()
    (tmp_path / "dch" / "code.py").write_text("1\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    return tmp_path, git("rev-parse", "HEAD")


def test_the_commit_of_a_checkout_is_clean_even_if_result_files_changed(checkout):
    root, commit = checkout
    (root / "dch" / "results").mkdir()
    (root / "dch" / "results" / "goals.csv").write_text("new\n")
    found = commit_of(root)
    assert len(found) >= 10
    assert commit.startswith(found)


@pytest.mark.parametrize("path", ["dch/code.py", "dch/new.py", "dch/deep/new.py"])
def test_changed_code_is_marked(checkout, path):
    root, _ = checkout
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text("2\n")
    assert commit_of(root).endswith(" + changes")


def test_the_commit_is_unknown_outside_a_checkout(tmp_path):
    assert commit_of(tmp_path) == "unknown"


def test_the_commit_of_a_copy_inside_another_repository_is_unknown(checkout):
    root, _ = checkout
    assert commit_of(root / "dch") == "unknown"


def test_the_machine_is_given_with_its_number_of_cores():
    assert machine().endswith(" cores")


def test_origins_of_several_runs_are_joined_with_each_value_once():
    runs = [Origin("a", "1", "m", "2026-01-03"), Origin("b", "1", "m", "2026-01-02")]
    assert joined(runs, [1, 0, 1]) == Origin("a; b", "1", "m", "2026-01-02 to 2026-01-03", "0, 1")
    assert joined(runs[:1], []).sentence() == "a · commit 1 · m · 2026-01-03"
    assert joined([], []).commit == ""


def test_runs_that_selected_other_jobs_count_as_the_same_command():
    runs = [
        Origin(f"dch experiment out --seeds 3{only}", "1", "m", "")
        for only in ("", " --only 'a/*'", " --only=b")
    ]
    assert joined(runs, []).command == "dch experiment out --seeds 3"
