"""The trainer as a process: one thread reads the log, another fits; both end when told to."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from dch.errors import ArtifactError, DchError, MissingExtraError
from dch.model import Model
from streams import artifacts, topics
from streams.catch_up import CatchUp
from streams.clients import BEGINNING, Admin, Consumer, Partition
from streams.errors import BadRecord
from streams.health import Health
from streams.loop import stop_on_signals
from streams.messages import ModelPointer, decode_model_pointer
from streams.metrics import MODEL_INFO, MODEL_TRAINED_TIMESTAMP_SECONDS, REFITS
from streams.records import Record
from streams.settings import Settings
from streams.trainer.log import RatingLog
from streams.trainer.refit import Material, refit
from streams.trainer.schedule import RefitSchedule

log = logging.getLogger("streams.trainer")

POLL_S = 0.2
END_S = 8.0
"""A fit looks at the stop flag after every step; only the teacher's fit before the first takes seconds."""


def run(settings: Settings, *, once: bool = False) -> None:
    """Run a trainer until SIGINT or SIGTERM; with once, until one refit has ended.

    Raises:
        StreamError: the topics are not as defined, or no broker answered.
        DchError: with once, the fit failed.
    """
    serve(settings, stop_on_signals(), once=once)


def serve(settings: Settings, stop: threading.Event, *, once: bool = False) -> None:
    """Run a trainer until ``stop`` is set; as ``run``, without signals."""
    topics.require(Admin(settings), settings)
    consumer = Consumer(settings, group=settings.group_of("trainer"), start="earliest")
    trainer = Trainer(settings, consumer, stop)
    try:
        with Health(settings.metrics_host, settings.metrics_port, trainer.checks()) as health:
            log.info("trainer started metrics_port=%d", health.port)
            trainer.run(once=once)
    finally:
        consumer.close()
    log.info("trainer stopped")


class Trainer:
    """Reads, and starts a refit when one is due."""

    def __init__(self, settings: Settings, consumer: Consumer, stop: threading.Event) -> None:
        self._settings, self._consumer, self._stop = settings, consumer, stop
        self._models = settings.topic(topics.MODELS.name)
        self._log = RatingLog(settings)
        self._schedule = RefitSchedule(settings.refit_ratings, settings.refit_interval_s)
        self._catch_up = CatchUp()
        self._pointer: ModelPointer | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fit")
        self._fitting: Future[str] | None = None

    def checks(self) -> dict[str, Callable[[], bool]]:
        """Return what /readyz asks."""
        return {"log read": self._catch_up.is_done, "reading": lambda: not self._stop.is_set()}

    def run(self, *, once: bool) -> None:
        """Read and refit until told to stop; with once, until one refit has ended."""
        places = self._places()
        self._catch_up.expect({}, self._consumer.ends(places))
        self._consumer.assign(dict.fromkeys(places, BEGINNING))
        while not self._stop.is_set():
            self._read()
            if self._fitting is not None and self._fitting.done():
                fitted, self._fitting = self._fitting, None
                self._schedule.done(self._n_new())
                self._finish(fitted, once=once)
                if once:
                    return
            is_due = once or self._schedule.is_due(self._n_new(), is_first=self._pointer is None)
            if self._fitting is None and self._catch_up.is_done() and is_due:
                self._start()
        if self._fitting is not None:
            wait([self._fitting], END_S)

    def _places(self) -> list[Partition]:
        sharded = [
            Partition(name, part) for name in self._log.names for part in range(self._settings.partitions)
        ]
        return [*sharded, Partition(self._models, 0)]

    def _read(self) -> None:
        records = self._consumer.poll(POLL_S)
        self._log.read(records)
        for record in records:
            if record.topic == self._models:
                self._read_pointer(record)
        read = {Partition(record.topic, record.partition): record.offset + 1 for record in records}
        self._catch_up.note(read)

    def _read_pointer(self, record: Record) -> None:
        try:
            pointer = decode_model_pointer(record)
        except BadRecord as reason:
            log.warning("pointer passed over place=%s reason=%s", record.place, reason)
            return
        if self._pointer is None or pointer.generation > self._pointer.generation:
            self._pointer = pointer
            MODEL_INFO.clear()
            MODEL_INFO.labels(str(pointer.generation)).set(1)
            MODEL_TRAINED_TIMESTAMP_SECONDS.set(pointer.trained_at / 1000)

    def _positions(self) -> dict[str, int]:
        topic = self._settings.topic(topics.RATINGS.name)
        places = (Partition(topic, part) for part in range(self._settings.partitions))
        return {str(place.partition): self._consumer.position(place) or 0 for place in places}

    def _n_new(self) -> int:
        """Return how many records of ratings the newest generation was not fitted on."""
        seen = self._pointer.watermarks if self._pointer else {}
        return sum(max(end - seen.get(part, 0), 0) for part, end in self._positions().items())

    def _start(self) -> None:
        generation = self._pointer.generation + 1 if self._pointer else 1
        material = Material(self._log.ratings(), self._positions(), self._current(), generation)
        log.info("refit started generation=%d ratings=%d", generation, len(material.ratings))
        self._fitting = self._pool.submit(refit, self._settings, material, self._stop)

    def _current(self) -> Model | None:
        if self._pointer is None:
            return None
        try:
            return artifacts.load(self._pointer.location, self._pointer.sha256)
        except ArtifactError as error:
            log.warning("the model in service cannot be read, so the refit starts anew reason=%s", error)
            return None

    def _finish(self, fitted: Future[str], *, once: bool) -> None:
        """Count how a refit ended; end the role on a bug, or on what no later refit can mend."""
        failure = fitted.exception()
        REFITS.labels("failed" if failure else fitted.result()).inc()
        if failure is None:
            return
        if once or not isinstance(failure, DchError) or isinstance(failure, MissingExtraError):
            raise failure
        log.warning("refit failed reason=%s", failure)
