"""The tables of README.md and the picture are written from complete measurements, or not at all."""

import csv
import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import cases
import costs
import report
from record import COLUMNS

SIZES = (3_700, 100_000, 1_000_000)
PAGE = f"before\n{report.BEGIN}\nold tables\n{report.END}\nafter\n"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Let the report read and write in a folder of its own; return it."""
    (tmp_path / "README.md").write_text(PAGE)
    (tmp_path / "costs.md").write_text(PAGE)
    monkeypatch.setattr(costs, "PAGE", tmp_path / "costs.md")
    for name, file in (("RESULTS", "results.csv"), ("README", "README.md"), ("PICTURE", "growth.png")):
        monkeypatch.setattr(report, name, tmp_path / file)
    return tmp_path


def measured(commit, programs=tuple(cases.PROGRAMS), sizes=SIZES, value=2.0):
    measured_cases = [case for program in programs for case in cases.PROGRAMS[program]]
    return [
        dict(zip(COLUMNS, ("2026-01-01", commit, "a machine", case, 1000, 64, value, items), strict=True))
        for case in measured_cases
        for items in sizes
    ]


def write(files, lines):
    with (files / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)


def test_the_tables_and_the_picture_are_those_of_the_newest_commit(files):
    write(files, [*measured("aaa1111", value=7.0), *measured("bbb2222")])
    report.main()
    text = (files / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "Commit bbb2222, 2026-01-01, a machine" in text
    assert "| one list by default, ms | 2.00 | 2.00 | 2.00 |" in text
    assert "old tables" not in text
    assert "7.00" not in text
    assert (files / "growth.png").read_bytes().startswith(b"\x89PNG")
    goals = (files / "costs.md").read_text()
    assert goals.startswith("before\n")
    assert goals.endswith("after\n")
    assert "Now: commit bbb2222" in goals
    assert "old tables" not in goals
    assert "not measured" not in goals
    assert "| > 15 s | 2.00 s | <= 5 s | yes |" in goals


@pytest.mark.parametrize("sizes", [SIZES[:1], SIZES[:2]])
def test_with_fewer_than_three_sizes_nothing_is_written_and_the_reason_is_said(files, sizes, capsys):
    write(files, measured("aaa1111", sizes=sizes))
    report.main()
    assert (files / "README.md").read_text() == (files / "costs.md").read_text() == PAGE
    assert not (files / "growth.png").exists()
    assert "README.md and docs/growth.png stay as they are: run make bench" in capsys.readouterr().out


def test_a_later_run_of_one_size_or_of_another_benchmark_empties_nothing(files):
    fit = dict(measured("ccc3333", sizes=(3_706,))[0], case="fit, ml-1m")
    write(files, [*measured("aaa1111"), *measured("bbb2222", sizes=SIZES[:1], value=7.0), fit])
    figures = report.Figures()
    assert figures.commit == "aaa1111"
    assert tuple(figures.sizes) == SIZES
    assert None not in [figures.value(case, 3_700) for found in cases.PROGRAMS.values() for case in found]


def test_figures_of_a_program_that_was_run_later_are_shown_with_its_commit(files):
    later = measured("bbb2222", ["bench_neighbours.py"], value=3.0)
    write(files, [*measured("aaa1111"), *later])
    figures = report.Figures()
    assert figures.commit == (
        "aaa1111 (bench_service.py), aaa1111 (bench_search.py), bbb2222 (bench_neighbours.py)"
    )
    assert figures.value(cases.DEFAULT, 3_700) == 3.0
    assert figures.value(cases.SERVED, 3_700) == 2.0


def test_a_picture_that_cannot_be_drawn_leaves_the_tables_as_they_are(files, monkeypatch):
    write(files, measured("aaa1111"))
    monkeypatch.setattr(report, "PICTURE", files / "no folder" / "growth.png")
    with pytest.raises(FileNotFoundError):
        report.main()
    assert (files / "README.md").read_text() == PAGE


def test_a_goal_that_is_missed_is_said_to_be(files):
    lines = measured("aaa1111")
    for line in lines:
        if line["case"] == cases.STOPPED:
            line["median_ms"] = 5.1
        if line["case"] == f"{cases.BUSY}, p99":
            line["median_ms"] = 6.1
    write(files, lines)
    report.main()
    goals = (files / "costs.md").read_text()
    assert "| > 15 s | 5.10 s | <= 5 s | **no** |" in goals
    assert "| +77 ms | 3.05 x the echo's (6.1 ms; echo 2.0 ms) | <= 3 x the echo's | **no** |" in goals
    assert "| 1.7 to 2.3 | 1.00 | <= 1.0 | yes |" in goals


def test_a_goal_is_compared_with_the_figure_that_is_shown(files):
    lines = measured("aaa1111")
    for line in lines:
        if line["case"] == cases.STOPPED:
            line["median_ms"] = 5.004
    write(files, lines)
    report.main()
    assert "| > 15 s | 5.00 s | <= 5 s | yes |" in (files / "costs.md").read_text()


@pytest.mark.prove
@pytest.mark.parametrize(
    ("program", "measure"), [("bench_search.py", "served"), ("bench_neighbours.py", "lists")]
)
def test_a_program_measures_all_cases_of_the_tables(program, measure, monkeypatch):
    pytest.importorskip("faiss")
    module = importlib.import_module(program.removesuffix(".py"))
    monkeypatch.setattr(importlib.import_module("bench_search"), "ROUNDS", 1)
    monkeypatch.setattr(module, "calls_for", lambda _: 1)
    assert set(cases.PROGRAMS[program]) <= set(getattr(module, measure)(3_700))
