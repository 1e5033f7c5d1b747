"""Goals: ratios are computed per seed and averaged; figures are compared as shown."""

from math import sqrt

import pytest

from dch.experiments.reports import goal_list
from dch.experiments.reports.benchmark_lines import Benchmark, last_benchmark
from dch.experiments.reports.goal_list import ELSEWHERE, GOALS, OTHERS, Goal

SHARE = Goal("a share", ("codes", "cases", "EUEI"), ("ials", "EUEI"), at_least=0.95)


def outcomes(codes, ials):
    found = {("codes", seed): {"cases": {"EUEI": value}} for seed, value in enumerate(codes)}
    return found | {("ials", seed): {"EUEI": value} for seed, value in enumerate(ials)}


def test_ratios_are_computed_per_seed_and_then_averaged():
    found = SHARE.measured(outcomes([0.1, 0.4], [0.2, 0.4]))
    assert found.mean == pytest.approx((0.5 + 1) / 2)
    assert found.std == pytest.approx(0.5 / sqrt(2))


def test_a_seed_that_lacks_one_of_the_two_is_left_out():
    assert SHARE.measured(outcomes([0.1, 0.4], [0.2])).mean == pytest.approx(0.5)
    assert SHARE.measured(outcomes([0.1], [])) is None
    assert SHARE.measured(outcomes([0.1], [0.0])) is None


@pytest.mark.parametrize(
    ("goal", "value", "target", "is_met"),
    [
        (SHARE, 0.9496, ">= 95%", True),  # shown as 95.0%
        (SHARE, 0.9494, ">= 95%", False),
        (Goal("a time", ("x",), at_most=45, unit="s"), 45.6, "<= 45 s", False),
        (Goal("a time", ("x",), at_most=45, unit="s"), 44.0, "<= 45 s", True),
        (Goal("a factor", ("x",), at_least=3, unit="x"), 3.1, ">= 3.00 x", True),
        (Goal("no goal", ("x",)), 0.5, "report", None),
    ],
)
def test_a_figure_is_compared_as_it_is_shown(goal, value, target, is_met):
    assert goal.target() == target
    assert goal.met(value) is is_met


def test_of_several_divisors_the_one_with_the_highest_mean_counts():
    goal = Goal("over the best", ("codes", "cases", "EUEI"), (("ials", "EUEI"), ("ease", "EUEI")))
    found = outcomes([0.3, 0.3], [0.2, 0.4]) | {("ease", 0): {"EUEI": 0.6}, ("ease", 1): {"EUEI": 0.1}}
    assert goal.divisor(found) == ("ease", "EUEI")  # .35 on average, iALS .3
    assert goal.measured(found).mean == pytest.approx((0.3 / 0.6 + 0.3 / 0.1) / 2)
    assert goal.divisor(outcomes([0.3], [0.2])) == ("ials", "EUEI")


def test_the_seeds_of_a_goal_are_those_that_have_its_figure():
    assert SHARE.seeds(outcomes([0.1, 0.4, 0.3], [0.2, 0.4])) == [0, 1]
    assert SHARE.seeds(outcomes([0.1], [])) == []


@pytest.mark.parametrize(
    ("ms", "measured", "met"),
    [
        (3.2216, "3.2 ms (make bench, commit abc)", "no"),
        (1.04, "1.0 ms (make bench, commit abc)", "yes"),
        (1.05001, "1.1 ms (make bench, commit abc)", "no"),
    ],
)
def test_the_goal_of_a_benchmark_has_the_figure_of_its_last_line(monkeypatch, ms, measured, met):
    monkeypatch.setattr(goal_list, "last_benchmark", lambda case, *, items: Benchmark(ms, "abc"))
    assert ELSEWHERE[0].measured() == (measured, met)


def test_a_goal_without_a_result_here_is_open_and_names_its_command(monkeypatch):
    monkeypatch.setattr(goal_list, "last_benchmark", lambda case, *, items: None)
    assert [goal.measured() for goal in ELSEWHERE] == [
        ("not measured: make bench", "open"),
        ("not measured: dch evaluate --train --test", "open"),
    ]


def test_the_case_of_the_goal_is_one_that_the_benchmarks_wrote():
    assert last_benchmark(ELSEWHERE[0].case, items=ELSEWHERE[0].items).ms > 0


def test_a_difference_is_computed_per_seed():
    goal = Goal("more than", ("codes", "cases", "EUEI"), minus=("ials", "EUEI"), at_least=0.01)
    assert goal.measured(outcomes([0.3, 0.4], [0.2, 0.1])).mean == pytest.approx(0.2)
    assert goal.measured(outcomes([0.3], [])) is None
    assert goal.target() == ">= 1%"


def test_the_bounds_are_those_of_the_project():
    bounds = {name: [goal.at_least or goal.at_most for goal in goals] for name, goals in GOALS.items()}
    assert bounds == {
        "ml-1m": [0.97, 1.03, 1.02, 1.03, 1.02, 0.01],
        "yelp": [0.98, 1.04, 1.08, 1.03, 1.02],
        "amazon-books": [1.15, 1.02, 1.01, 1.27, 1.02],
    }
    assert [goal.target for goal in ELSEWHERE] == ["<= 1 ms", ">= 18.7%"]
    assert set(OTHERS) == set(GOALS)
