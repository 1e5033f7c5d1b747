"""Read /metrics of the roles: generation and prequential counts of the worker, outcomes of the trainer."""

from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
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

    n_refused: int = 0
    """Number of published models that the worker refused."""

    @property
    def total(self) -> CohortCounts:
        """The sums over all cohorts."""
        return CohortCounts(*(sum(counts) for counts in zip(*self.cohorts.values(), strict=True)))


def read_worker(url: str) -> WorkerCounts | None:
    """Read the metrics of the worker at ``url``; None if it does not answer now, as on a busy machine."""
    samples = _read(url)
    if not samples:
        return None
    served = [
        int(sample.labels["generation"])
        for sample in samples
        if sample.name == "dch_model_info" and sample.value
    ]
    cohorts = {cohort: CohortCounts(*_counts(samples, cohort)) for cohort in COHORTS}
    refused = sum(int(sample.value) for sample in samples if sample.name == "dch_models_refused_total")
    return WorkerCounts(max(served, default=0), cohorts, refused)


def read_refits(url: str) -> dict[str, int]:
    """Read the outcomes of the trainer's fits so far, and how often each occurred; empty before the first."""
    return {
        sample.labels["outcome"]: int(sample.value)
        for sample in _read(url)
        if sample.name == "dch_refits_total" and sample.value
    }


def _counts(samples: list[Sample], cohort: str) -> Iterator[int]:
    for name in ("trials", "hits", "popular_hits"):
        yield sum(
            int(sample.value)
            for sample in samples
            if sample.name == f"dch_prequential_{name}_total" and sample.labels["cohort"] == cohort
        )


def _read(url: str) -> list[Sample]:
    """Return all samples of /metrics; none if there is no answer within five seconds."""
    try:
        with urlopen(f"{url}/metrics", timeout=5) as answer:
            return list(_samples(answer.read().decode()))
    except (HTTPException, OSError):  # an OSError is also urllib's URLError, and the timeout
        return []


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples
