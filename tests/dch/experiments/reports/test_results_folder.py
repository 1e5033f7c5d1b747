"""The files of an output folder: CSV with all digits, Markdown, PNG, and README.md with all pages."""

import csv
from dataclasses import replace

from dch.experiments.jobs.table_protocol import PROTOCOL
from dch.experiments.provenance import Origin
from dch.experiments.reports.page import Line, Panel, Plot, Spread, Table
from dch.experiments.reports.results_folder import Section, write_pages, write_table
from tests.dch.experiments.fake_part import ORIGIN, plan_in

MADE = Origin("dch experiment out", "abc123", "a machine", "2026-01-02", "0, 1")
TABLE = Table(
    "quality",
    "Quality",
    ["case", "users", "codes", "floats"],
    [("EUEI", 5410, Spread(0.3421, 0.0043), 0.374), ("NUEI", 12, 0.2, None)],
    note="A note.",
    best="row",
)


def test_a_csv_file_has_all_digits_and_states_the_origin_in_each_row(tmp_path):
    write_table(tmp_path, TABLE, MADE)
    first, second = csv.DictReader((tmp_path / "quality.csv").read_text().splitlines())
    assert (first["codes"], first["codes std"], first["floats"]) == ("0.3421", "0.0043", "0.374")
    assert (second["codes"], second["codes std"], second["floats"]) == ("0.2", "", "")
    for row in (first, second):
        assert (row["seeds"], row["commit"], row["command"]) == ("0, 1", "abc123", "dch experiment out")


def test_a_markdown_file_has_rounded_figures_the_note_and_the_origin(tmp_path):
    write_table(tmp_path, TABLE, MADE)
    assert (tmp_path / "quality.md").read_text() == (
        "# Quality\n\n"
        "| case | users | codes | floats |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| EUEI | 5,410 | 0.342 ± 0.004 | **0.374** |\n"
        "| NUEI | 12 | 0.200 | – |\n"  # noqa: RUF001
        "\nA note.\n\n"
        "dch experiment out · seeds 0, 1 · commit abc123 · a machine · 2026-01-02\n"
    )


SOME = replace(TABLE, seeds=[{"ml-1m": [4, 3], "yelp": [3]}, {"yelp": [3]}])


def test_a_row_with_seeds_of_its_own_has_these_and_the_origin_has_none(tmp_path):
    write_table(tmp_path, SOME, MADE)
    rows = list(csv.DictReader((tmp_path / "quality.csv").read_text().splitlines()))
    assert [row["seeds"] for row in rows] == ["ml-1m 3, 4; yelp 3", "3"]
    text = (tmp_path / "quality.md").read_text()
    assert "| case | users | codes | floats | seeds |" in text
    assert "**0.374** | ml-1m 3, 4; yelp 3 |" in text
    assert "\ndch experiment out · commit abc123 · a machine · 2026-01-02\n" in text


def test_the_index_leaves_the_seeds_to_the_pages_that_have_their_own(tmp_path):
    plan = plan_in(tmp_path)
    lines = {"one": Line([1, 2], [0.1, 0.2])}
    plot = Plot("curve", "A curve", [Panel("left", "x", "y", lines)], seeds={"yelp": [3]})
    write_pages(plan, [Section("goals", [SOME, plot], MADE)], ORIGIN, seconds=3.0)
    text = (plan.out / "README.md").read_text()
    assert "seeds 0, 1" not in text
    assert "| ml-1m 3, 4; yelp 3 |" in text
    assert b"seeds 3 " in (plan.out / "curve.png").read_bytes()


def test_the_index_shows_tables_plots_the_protocol_and_the_command(tmp_path):
    lines = {"one": Line([1, 2], [0.1, 0.2], [0.01, 0.01]), "two": Line([1, 2], [0.2, 0.3])}
    plot = Plot("curve", "A curve", [Panel("left", "x", "y", lines), Panel("right", "x", "y", lines)])
    plan = plan_in(tmp_path)
    write_pages(
        plan, [Section("length", [TABLE, plot], MADE), Section("cold", [], MADE)], ORIGIN, seconds=7000
    )
    text = (plan.out / "README.md").read_text()
    for part in ("## Code length", "| EUEI | 5,410 |", "![A curve](curve.png)", PROTOCOL, MADE.sentence()):
        assert part in text
    assert "    dch experiment out\n" in text
    assert "1 h 57 min" in text
    assert "Cold start" not in text
    assert "figures mean nothing" not in text


def test_the_index_gives_the_command_for_all_jobs_even_after_a_partial_run(tmp_path):
    plan = plan_in(tmp_path)
    last = replace(ORIGIN, command="dch experiment out --only 'tables/*/dcf' --data 'my data'")
    write_pages(plan, [], last, seconds=3.0)
    assert "    dch experiment out --data 'my data'\n" in (plan.out / "README.md").read_text()


def test_the_index_marks_a_quick_run(tmp_path):
    plan = plan_in(tmp_path, quick=True)
    write_pages(plan, [], ORIGIN, seconds=3.0)
    assert "figures mean nothing" in (plan.out / "README.md").read_text()


def test_the_index_shows_a_note_that_pages_of_a_part_share_only_once(tmp_path):
    plan = plan_in(tmp_path)
    pages = [TABLE, replace(TABLE, name="again"), replace(TABLE, name="other", note="Another note.")]
    write_pages(plan, [Section("length", pages, MADE)], ORIGIN, seconds=3.0)
    text = (plan.out / "README.md").read_text()
    assert (text.count("A note."), text.count("Another note.")) == (1, 1)
