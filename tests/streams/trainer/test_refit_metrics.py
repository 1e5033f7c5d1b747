"""The figures of the last five measured refits stay in the metrics."""

from streams import metrics
from streams.trainer.gate import REJECTED, UNMEASURED, FitResult
from streams.trainer.refit_metrics import RefitMetrics


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
