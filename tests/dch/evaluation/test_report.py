"""The report: JSON keys, averages over seeds, and rows of the table."""

import json

import pytest

from dch.evaluation.report import Measurement, MetricKey, Report, Result, summarise, table_rows

KEY = MetricKey("codes", "EUEI", "ndcg@20")


def test_the_json_has_the_documented_keys():
    report = Report({"name": "holdout"}, 1.5, [Result("codes", "EUEI", "ndcg@20", 0.3, 0.01, 12)])
    assert json.loads(report.to_json()) == {
        "protocol": {"name": "holdout"},
        "fit_seconds": 1.5,
        "results": [
            {
                "strategy": "codes",
                "case": "EUEI",
                "metric": "ndcg@20",
                "mean": 0.3,
                "std": 0.01,
                "users": 12,
            }
        ],
    }


def test_seeds_are_averaged():
    (result,) = summarise([{KEY: Measurement(0.1, 10)}, {KEY: Measurement(0.3, 13)}, {}])
    assert result.mean == pytest.approx(0.2)
    assert result.std == pytest.approx(0.02**0.5)
    assert result.users == 12


def test_one_seed_has_a_standard_deviation_of_zero():
    assert summarise([{KEY: Measurement(0.1, 10)}]) == [Result(*KEY, 0.1, 0.0, 10)]


def test_the_table_has_a_column_per_metric():
    results = [Result("codes", "EUEI", metric, 0.25, 0.01, 1200) for metric in ("hit@20", "ndcg@20")]
    assert list(table_rows(Report({}, 1.0, results))) == [
        ("case", "strategy", "hit@20", "ndcg@20", "users"),
        ("EUEI", "codes", "0.250 ±.010", "0.250 ±.010", "1,200"),
    ]


def test_the_table_of_one_seed_shows_no_deviation_and_case_names_with_spaces():
    report = Report({}, 1.0, [Result("codes", "new_user_new_item", "hit@20", 0.2504, 0.0, 12)])
    assert list(table_rows(report))[1] == ("new user new item", "codes", "0.250", "12")
