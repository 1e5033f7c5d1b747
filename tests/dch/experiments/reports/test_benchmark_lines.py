"""The last line of the benchmarks for a case."""

import csv

from dch.experiments.reports.benchmark_lines import Benchmark, last_benchmark


def test_the_last_line_of_a_case_with_these_items_and_bits_counts(tmp_path):
    path = tmp_path / "results.csv"
    columns = ("date", "commit", "case", "bits", "median_ms", "items")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                columns,
                ("d", "first", "a list", 64, 2.0, 100),
                ("d", "last", "a list", 64, 3.25, 100),
                ("d", "others", "a list", 64, 9.0, 1000),
                ("d", "others", "a list", 128, 9.0, 100),
                ("d", "others", "another list", 64, 9.0, 100),
            ]
        )
    assert last_benchmark("a list", items=100, path=path) == Benchmark(3.25, "last")
    assert last_benchmark("a list", items=7, path=path) is None
    assert last_benchmark("a list", items=100, path=tmp_path / "nowhere.csv") is None
