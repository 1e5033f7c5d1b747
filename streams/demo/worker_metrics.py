"""What the worker says of itself at /metrics: the generation it serves, and its hit rate by cohort."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streams.metrics import COHORTS


class Cohort(NamedTuple):
    """Prequential counts: trials, and how often the item was in our list and in the popular list."""

    trials: int
    hits: int
    popular_hits: int


@dataclass(frozen=True)
class Reading:
    """One look at a worker."""

    generation: int
    """The generation in service; 0 before the first."""

    cohorts: dict[str, Cohort]

    @property
    def total(self) -> Cohort:
        """All cohorts together."""
        return Cohort(*(sum(counts) for counts in zip(*self.cohorts.values(), strict=True)))


def read_worker(url: str) -> Reading:
    """Read a worker's /metrics."""
    with urlopen(f"{url}/metrics", timeout=5) as answer:
        samples = list(_samples(answer.read().decode()))
    served = [
        int(sample.labels["generation"])
        for sample in samples
        if sample.name == "dch_model_info" and sample.value
    ]
    return Reading(max(served, default=0), {cohort: Cohort(*_counts(samples, cohort)) for cohort in COHORTS})


def _counts(samples: list[Sample], cohort: str) -> Iterator[int]:
    for what in ("trials", "hits", "popular_hits"):
        yield sum(
            int(sample.value)
            for sample in samples
            if sample.name == f"dch_prequential_{what}_total" and sample.labels["cohort"] == cohort
        )


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples
