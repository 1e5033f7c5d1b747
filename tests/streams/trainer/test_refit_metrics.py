"""The figures of the last five measured refits stay in the metrics."""

import msgspec
import pytest

from streams import metrics
from streams.trainer.fit import IN_SERVICE_NDCG, NEWEST_NDCG
from streams.trainer.gate import REJECTED, UNMEASURED, FitResult
from streams.trainer.refit_metrics import RefitMetrics
from tests.streams.trainer.test_refits import pointer


@pytest.fixture(autouse=True)
def _no_figures_of_other_tests():
    metrics.REFIT_NDCG.clear()


def shown():
    return {
        (sample.labels["generation"], sample.labels["model"]): sample.value
        for family in metrics.REFIT_NDCG.collect()
        for sample in family.samples
    }


def test_the_last_five_measured_refits_are_shown():
    found = RefitMetrics()
    for generation in range(101, 108):
        found.show(generation, FitResult(candidate=generation / 1000, in_service=0.1))
    assert shown() == {
        (str(generation), model): generation / 1000 if model == "candidate" else 0.1
        for generation in range(103, 108)
        for model in ("candidate", "in_service")
    }
    found.show(107, FitResult(REJECTED, candidate=0.05, in_service=0.1))
    found.show(108, FitResult(UNMEASURED))
    assert shown()["107", "candidate"] == 0.05
    assert len(shown()) == 10


def published(generation, *figures, **changes):
    named = dict(zip((NEWEST_NDCG, IN_SERVICE_NDCG), figures, strict=False))
    return msgspec.structs.replace(pointer(generation, 0), metrics={"steps": 3, **named}, **changes)


def test_a_trainer_that_starts_shows_the_figures_of_the_models_that_were_published_before():
    """Else the panels are empty after each restart, until the next refit was measured."""
    found = RefitMetrics()
    found.restore([published(1), published(2, 0.2, 0.1), published(3, 0.3, 0.2), published(4, 0.1)])
    found.restore([published(5, 0.3, 0.2, rolled_back_from=4, rolled_back_to=3)])
    assert shown() == {
        ("2", "candidate"): 0.2,
        ("2", "in_service"): 0.1,
        ("3", "candidate"): 0.3,
        ("3", "in_service"): 0.2,
    }


def test_figures_of_old_models_do_not_push_out_those_of_newer_ones():
    found = RefitMetrics()
    for generation in range(6, 11):
        found.show(generation, FitResult(candidate=0.5, in_service=0.1))
    found.restore([published(generation, 0.2, 0.1) for generation in range(1, 6)])
    assert {generation for generation, _ in shown()} == {"6", "7", "8", "9", "10"}
