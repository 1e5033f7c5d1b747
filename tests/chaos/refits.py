"""What the trainer of a run does, by its log, and which model its workers have in service."""

import re
import urllib.request
from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from dch.models.model import Model
from streams import artifacts
from streams.errors import BadRecord, StreamError
from streams.kafka.records import Record
from streams.messages import ModelPointer, decode_model_pointer
from streams.settings import TrainerSettings, WorkerSettings
from tests.chaos.processes import Role
from tests.streams.brokers import free_ports

STEPS = re.compile(r"fit (started) |fit (done) .*?outcome=(\w+)|(standing by)|(trainer started)")
"""Lines of the log that say whether a fit runs. A trainer that is not active any more ends its fit."""

LEARNING = re.compile(r"ratings are positive: those from")


def trainer_settings(settings: WorkerSettings, refit_ratings: int) -> TrainerSettings:
    """Return the settings of a trainer that publishes each refit: random ratings have nothing to learn."""
    return settings.as_role(
        TrainerSettings,
        refit_ratings=refit_ratings,
        refit_margin=1.0,
        neighbours="0",  # the measurement that `auto` makes would take as long as the fit
        metrics_port=free_ports(2),
    )


class Refits:
    """The fits of a trainer."""

    def __init__(self, trainer: Role) -> None:
        self._trainer = trainer

    def n_learning(self) -> int:
        """Return how many fits have begun to learn: they have read the model in service by then."""
        return len(LEARNING.findall(self._trainer.log.read_text()))

    def n_published(self) -> int:
        """Return how many fits were published."""
        return self.outcomes()["published"]

    def outcomes(self) -> Counter[str]:
        """Return how fits ended: published, failed and so on; and how many were ended before."""
        steps = self._steps()
        found = Counter(step["outcome"] for step in steps if step["outcome"])
        n_started = sum(bool(step["started"]) for step in steps)
        found["ended before"] = n_started - found.total() - self.is_running()
        return found

    def is_running(self) -> bool:
        """Return whether a fit runs."""
        steps = self._steps()
        return bool(steps) and bool(steps[-1]["started"])

    def are_done(self) -> bool:
        """Return whether no fit runs, and none is due."""
        n_new = sum(value for _, value in samples(self._trainer, "dch_refit_new_ratings"))
        return not self.is_running() and n_new < self._trainer.settings.refit_ratings

    def _steps(self) -> list[dict[str, object]]:
        found = STEPS.finditer(self._trainer.log.read_text())
        return [{"started": bool(one[1]), "outcome": one[3] or ""} for one in found]


def samples(role: Role, name: str) -> list[tuple[dict[str, str], float]]:
    """Return the labels and values of a metric of a role.

    Raises:
        StreamError: the role does not answer.
    """
    try:
        url = f"http://127.0.0.1:{role.settings.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
    except OSError as error:
        raise StreamError(f"{role.name} does not answer") from error
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]


def pointers(records: list[Record]) -> list[ModelPointer]:
    """Return the pointers among the records of `models`, by generation."""
    found = []
    for record in records:
        try:
            found.append(decode_model_pointer(record))
        except BadRecord:
            continue
    return sorted(found, key=lambda pointer: pointer.generation)


def model_in_service(workers: list[Role], announced: list[ModelPointer], store: str) -> Model | None:
    """Return the model that all workers serve, if it is the newest one that the store holds."""
    newest = artifacts.newest_held(store, announced)
    wanted = newest and {"generation": str(newest.generation), "generation_hash": newest.generation_hash}
    for worker in workers:
        shown = [labels for labels, value in samples(worker, "dch_model_info") if value == 1]
        if not wanted or [{name: one[name] for name in wanted} for one in shown] != [wanted]:
            return None
    return artifacts.load(artifacts.location_within(store, newest), newest.sha256)
