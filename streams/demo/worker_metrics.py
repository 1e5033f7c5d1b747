"""Read a worker's /metrics: the generation in service, and the prequential counts by cohort."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from dch.state.prequential import COHORTS


class CohortCounts(NamedTuple):
    """Prequential counts of one cohort: trials, hits of the user's list, and hits of the popular list."""

    trials: int
    hits: int
    popular_hits: int


@dataclass(frozen=True)
class WorkerCounts:
    """The metrics of a worker at one moment."""

    generation: int
    """The generation in service; 0 if there is none."""

    cohorts: dict[str, CohortCounts]

    @property
    def total(self) -> CohortCounts:
        """The sums over all cohorts."""
        return CohortCounts(*(sum(counts) for counts in zip(*self.cohorts.values(), strict=True)))


def read_worker(url: str) -> WorkerCounts:
    """Read the metrics of the worker at ``url``."""
    with urlopen(f"{url}/metrics", timeout=5) as answer:
        samples = list(_samples(answer.read().decode()))
    served = [
        int(sample.labels["generation"])
        for sample in samples
        if sample.name == "dch_model_info" and sample.value
    ]
    cohorts = {cohort: CohortCounts(*_counts(samples, cohort)) for cohort in COHORTS}
    return WorkerCounts(max(served, default=0), cohorts)


def _counts(samples: list[Sample], cohort: str) -> Iterator[int]:
    for name in ("trials", "hits", "popular_hits"):
        yield sum(
            int(sample.value)
            for sample in samples
            if sample.name == f"dch_prequential_{name}_total" and sample.labels["cohort"] == cohort
        )


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples
