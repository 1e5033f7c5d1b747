"""Where figures come from: the commit, changed or not, and several runs as one."""

import subprocess

import pytest

from dch.experiments.origin import Origin, commit_of, joined, machine


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


def test_a_clean_checkout_is_its_commit_and_results_beside_the_code_change_nothing(checkout):
    root, commit = checkout
    (root / "dch" / "results").mkdir()
    (root / "dch" / "results" / "goals.csv").write_text("new\n")
    found = commit_of(root)
    assert len(found) >= 10
    assert commit.startswith(found)


@pytest.mark.parametrize("path", ["dch/code.py", "dch/new.py", "dch/deep/new.py"])
def test_changed_code_is_said(checkout, path):
    root, _ = checkout
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text("2\n")
    assert commit_of(root).endswith(" + changes")


def test_without_a_checkout_the_commit_is_unknown(tmp_path):
    assert commit_of(tmp_path) == "unknown"


def test_a_copy_within_somebody_s_checkout_is_of_an_unknown_commit(checkout):
    root, _ = checkout
    assert commit_of(root / "dch") == "unknown"


def test_the_machine_has_cores():
    assert machine().endswith(" cores")


def test_several_runs_are_one_origin_with_each_value_once():
    runs = [Origin("a", "1", "m", "2026-01-03"), Origin("b", "1", "m", "2026-01-02")]
    assert joined(runs, [1, 0, 1]) == Origin("a; b", "1", "m", "2026-01-02 to 2026-01-03", "0, 1")
    assert joined(runs[:1], []).sentence() == "a · commit 1 · m · 2026-01-03"
    assert joined([], []).commit == ""
