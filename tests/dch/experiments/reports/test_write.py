"""Pages become files: CSV with every digit, Markdown for readers, PNG, and an index with all of it."""

import csv
from dataclasses import replace

from dch.experiments.jobs.table_protocol import PROTOCOL
from dch.experiments.origin import Origin
from dch.experiments.reports.index_page import Section
from dch.experiments.reports.page import Line, Panel, Plot, Spread, Table
from dch.experiments.reports.write import write_all, write_table
from tests.dch.experiments.jobs_in_hand import ORIGIN, plan_in

MADE = Origin("dch experiment out", "abc123", "a machine", "2026-01-02", "0, 1")
TABLE = Table(
    "quality",
    "Quality",
    ["case", "users", "codes", "floats"],
    [("EUEI", 5410, Spread(0.3421, 0.0043), 0.374), ("NUEI", 12, 0.2, None)],
    note="A note.",
    best="row",
)


def test_a_csv_has_every_digit_and_says_in_each_row_where_it_comes_from(tmp_path):
    write_table(tmp_path, TABLE, MADE)
    first, second = csv.DictReader((tmp_path / "quality.csv").read_text().splitlines())
    assert (first["codes"], first["codes std"], first["floats"]) == ("0.3421", "0.0043", "0.374")
    assert (second["codes"], second["codes std"], second["floats"]) == ("0.2", "", "")
    for row in (first, second):
        assert (row["seeds"], row["commit"], row["command"]) == ("0, 1", "abc123", "dch experiment out")


def test_a_markdown_file_is_for_readers(tmp_path):
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


def test_the_index_shows_tables_plots_protocol_and_command(tmp_path):
    lines = {"one": Line([1, 2], [0.1, 0.2], [0.01, 0.01]), "two": Line([1, 2], [0.2, 0.3])}
    plot = Plot("curve", "A curve", [Panel("left", "x", "y", lines), Panel("right", "x", "y", lines)])
    plan = plan_in(tmp_path)
    write_all(plan, [Section("length", [TABLE, plot], MADE), Section("cold", [], MADE)], ORIGIN, seconds=7000)
    text = (plan.out / "README.md").read_text()
    for part in ("## Code length", "| EUEI | 5,410 |", "![A curve](curve.png)", PROTOCOL, MADE.sentence()):
        assert part in text
    assert "    dch experiment out\n" in text
    assert "1 h 57 min" in text
    assert "Cold start" not in text
    assert "figures mean nothing" not in text


def test_the_index_says_how_to_run_all_of_it_again_whatever_the_last_run_was(tmp_path):
    plan = plan_in(tmp_path)
    last = replace(ORIGIN, command="dch experiment out --only 'tables/*/dcf' --data 'my data'")
    write_all(plan, [], last, seconds=3.0)
    assert "    dch experiment out --data 'my data'\n" in (plan.out / "README.md").read_text()


def test_a_quick_run_says_so(tmp_path):
    plan = plan_in(tmp_path, quick=True)
    write_all(plan, [], ORIGIN, seconds=3.0)
    assert "figures mean nothing" in (plan.out / "README.md").read_text()
