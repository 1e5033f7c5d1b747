"""``dch experiment`` refuses bad input in one sentence; a quick run writes every table and plot, once."""

import csv
import re

import pytest

from dch.experiments.job_store import JobStore
from dch.experiments.parts import PARTS
from tests.streams.cli.running import dch

__all__ = ["dch"]

SHARES = ("tables_hit", "tables_ndcg", "cold_hit", "cold_ndcg", "length_ml-100k")
"""Tables whose figures are hit rates and NDCG, apart from names, counts, milliseconds and spreads."""

MAY_BE_ZERO = ("cold_hit", "cold_ndcg")
"""Tables where a share may be 0: among all items, cold items are in no list."""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "give the folder of the data sets by --data DIR or DCH_DATA"),
        ("--data {tmp}", "holds none of the folders ml-1m, amazon-books, yelp, amazon-timed"),
        ("--quick --only ,", "parts are goals, tables, length, cold, drift; got ''"),
        ("--quick --only guess", "parts are goals, tables, length, cold, drift; got 'guess'"),
        ("--quick --only tales/yelp,goals", "parts are goals, tables, length, cold, drift; got 'tales'"),
        ("--quick --seeds a", "--seeds must be whole numbers separated by commas, got 'a'"),
        ("--quick --threads 0", "threads must be positive"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(dch, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.delenv("DCH_DATA", raising=False)
    ran = dch("experiment", tmp_path / "out", *arguments.format(tmp=tmp_path).split())
    assert ran.code == 2
    assert sentence in ran.err
    assert list(tmp_path.iterdir()) == []


def test_the_current_folder_is_refused_as_the_output_folder(dch):
    for out in ("", "."):
        ran = dch("experiment", out, "--quick")
        assert (ran.code, "OUT must be a folder for the results only" in ran.err) == (2, True)


def test_the_folder_of_data_sets_may_come_from_the_environment_and_hold_only_some(dch, tmp_path, monkeypatch):
    (tmp_path / "data" / "yelp").mkdir(parents=True)
    monkeypatch.setenv("DCH_DATA", str(tmp_path / "data"))
    ran = dch("experiment", tmp_path / "out", "--only", "length")
    assert ran.code == 0, ran.err  # the code-length study uses another data set: no job to run
    assert "Data sets: yelp." in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(("options", "seeds"), [([], "3, 4, 5"), (["--seeds", "0,7"], "0, 7")])
def test_without_seeds_those_of_the_goals_are_run(dch, tmp_path, options, seeds):
    (tmp_path / "data" / "yelp").mkdir(parents=True)
    arguments = ("--data", tmp_path / "data", "--only", "length", *options)
    ran = dch("experiment", tmp_path / "out", *arguments)
    assert ran.code == 0, ran.err
    assert f"Seeds: {seeds}. " in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_a_quick_run_of_a_part_writes_its_pages_and_a_second_one_runs_no_job_again(dch, tmp_path):
    out = tmp_path / "out"
    ran = dch("experiment", out, "--quick", "--only", "goals/*/ials,length/*/8-bits")
    assert ran.code == 0, ran.out + ran.err
    assert "Goals of the model" in ran.out
    assert set(JobStore(out).results()) == {"goals/ml-100k/ials/0", "length/ml-100k/8-bits/0"}
    for name in ("goals", "baselines", "length_ml-100k"):
        check_table(out / f"{name}.csv")
    check_second(dch, out, "--only", "goals/*/ials,length/*/8-bits")


@pytest.mark.prove
def test_a_quick_run_writes_every_page_and_a_second_one_runs_no_job_again(dch, tmp_path):
    out = tmp_path / "out"
    ran = dch("experiment", out, "--quick")
    assert ran.code == 0, ran.out + ran.err
    assert "Goals of the model" in ran.out
    assert {name.partition("/")[0] for name in JobStore(out).results()} == set(PARTS)
    index = (out / "README.md").read_text()
    plots = set(re.findall(r"!\[.*?\]\((.*?)\)", index))
    assert plots == {path.name for path in out.glob("*.png")}
    assert len(plots) >= 5
    tables = sorted(out.glob("*.csv"))
    assert [path.stem for path in tables] == sorted(
        path.stem for path in out.glob("*.md") if path.stem != "README"
    )
    assert set(SHARES) <= {path.stem for path in tables}
    for path in tables:
        check_table(path)
    check_second(dch, out)


def check_table(path):
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert rows, path.name
    for row in rows:
        assert row["commit"], path.name
        assert row["command"].endswith("--quick")
        assert "cores" in row["machine"]
        is_unmeasured = row.get("met") in ("", "no", "open") and not row["seeds"]
        assert is_unmeasured or row["seeds"] == "0", path.name
    if path.stem in SHARES:
        shares = [float(value) for row in rows for name, value in row.items() if is_share(name, value)]
        assert shares, path.name
        assert all(0 < share <= 1 for share in shares if share or path.stem not in MAY_BE_ZERO), path.name


def is_share(name, value):
    return "." in value and not name.endswith(" std") and re.fullmatch(r"[\d.]+", value) and "ms" not in name


def check_second(dch, out, *options):
    results = JobStore(out).results()
    ran = dch("experiment", out, "--quick", *options)
    assert ran.code == 0
    assert f"{len(results)} jobs are finished, 0 of them by this run" in ran.out
    assert JobStore(out).results() == results
