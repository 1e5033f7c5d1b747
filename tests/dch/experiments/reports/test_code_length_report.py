"""The pages of the code-length study, and where gains level off."""

import pytest

from dch.experiments.reports.code_length_report import code_length_pages, levels_off
from dch.experiments.reports.page import Plot, Table


@pytest.mark.parametrize(
    ("quality", "bits"),
    [
        ({8: 0.1, 16: 0.2, 32: 0.202, 64: 0.203}, 16),
        ({8: 0.1, 16: 0.09, 32: 0.202, 64: 0.203}, 32),
        ({8: 0.1, 16: 0.2, 32: 0.3}, None),
        ({32: 0.3, 8: 0.1, 16: 0.2, 64: 0.29}, 32),
        ({8: 0.1}, None),
    ],
)
def test_gains_level_off_at_the_length_beyond_which_no_doubling_gains_two_percent(quality, bits):
    assert levels_off(quality) == bits


def test_the_pages_have_a_line_for_each_case_and_strategy_and_say_where_gains_level_off():
    def outcome(value):
        metrics = {"codes": {"ndcg@20": value}, "codes+rerank": {"ndcg@20": value * 1.1}}
        return {
            "cases": dict.fromkeys(("EUEI", "NUEI", "EUNI-new"), metrics),
            "search_ms": 0.5,
            "n_codes": 1000,
            "bytes": 1,
        }

    outcomes = {
        f"length/ml-1m/{bits}-bits/{seed}": outcome(value + seed / 100)
        for bits, value in ((16, 0.2), (8, 0.1), (32, 0.2))
        for seed in (0, 1)
    }
    table, plot = code_length_pages(outcomes)
    assert isinstance(table, Table)
    assert isinstance(plot, Plot)
    assert [row[0] for row in table.rows] == [8, 16, 32]
    assert [len(panel.lines) for panel in plot.panels] == [6, 1, 1]
    line = plot.panels[0].lines["EUEI, codes"]
    assert (list(line.x), list(line.y)) == ([8, 16, 32], pytest.approx([0.105, 0.205, 0.205]))
    assert "EUEI codes at 16 bits" in table.note
    assert code_length_pages({}) == []
