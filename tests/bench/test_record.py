"""A figure names the commit that it was measured at, and says so if the code was another one."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from record import commit_of


@pytest.fixture
def checkout(tmp_path):
    for name in ("dch", "streams", "tests/bench"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "code.py").write_text("1\n")
    (tmp_path / "tests/bench/results.csv").write_text("date\n")
    (tmp_path / "README.md").write_text("page\n")
    (tmp_path / "constraints.txt").write_text("numpy==2\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_a_benchmark_that_appends_its_lines_stays_at_the_commit(checkout):
    clean = commit_of(checkout)
    assert (
        clean
        == subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=checkout, text=True).strip()
    )
    (checkout / "tests/bench/results.csv").write_text("date\na line\n")
    (checkout / "README.md").write_text("new tables\n")
    assert commit_of(checkout) == clean


@pytest.mark.parametrize("name", ["dch/code.py", "streams/new.py", "tests/bench/code.py", "constraints.txt"])
def test_code_that_was_changed_or_added_is_marked(checkout, name):
    clean = commit_of(checkout)
    (checkout / name).write_text("2\n")
    assert commit_of(checkout) == f"{clean}-dirty"
