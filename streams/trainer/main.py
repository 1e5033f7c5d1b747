"""The trainer as a process: reads on while a fit runs in a child, and publishes what is good enough."""

import logging
import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import DchError
from streams import topics
from streams.errors import StreamError
from streams.health import Health
from streams.kafka import Admin
from streams.lifecycle import stop_on_signals
from streams.metrics import REFITS
from streams.settings import TrainerSettings
from streams.trainer.fit import FitRequest, FitResult
from streams.trainer.fit_process import FitProcess
from streams.trainer.publication import is_good_enough, publish
from streams.trainer.rating_log import Watermarks
from streams.trainer.schedule import Schedule
from streams.trainer.source import Source, watermarks_of

log = logging.getLogger("streams.trainer")

NEWEST_SHARE = 0.05
"""Share of all ratings held back from a refit to measure on, if so many are new to the model in service."""

ENOUGH = 200
"""With fewer ratings to measure on, the two figures differ by chance alone; then nothing is measured."""


class FitFailedError(StreamError):
    """The one fit that was asked for failed or was not good enough, or no fit can succeed here."""


@dataclass(frozen=True)
class Running:
    """A fit that is under way."""

    process: FitProcess
    generation: int
    watermarks: Watermarks
    started: float


def run(settings: TrainerSettings, *, once: bool = False) -> None:
    """Run a trainer until SIGINT or SIGTERM; ``once``: until one fit is done.

    Raises:
        StreamError: the topics are not as defined, no broker answered, or the one fit failed.
    """
    serve(settings, stop_on_signals(), once=once)


def serve(settings: TrainerSettings, stop: threading.Event, *, once: bool = False) -> None:
    """Run a trainer until ``stop`` is set; as ``run``, without signals."""
    topics.require(Admin(settings), settings)
    source = Source(settings)
    try:
        checks = {"ratings read": lambda: source.is_caught_up}
        with Health(settings.metrics_host, settings.metrics_port, checks) as health:
            log.info("trainer started metrics_port=%d", health.port)
            Trainer(settings, source, stop, once=once).run()
    finally:
        source.close()
    log.info("trainer stopped")


class Trainer:
    """Decides when to fit, and what becomes of it."""

    def __init__(
        self, settings: TrainerSettings, source: Source, stop: threading.Event, *, once: bool
    ) -> None:
        self._settings, self._source, self._stop, self._once = settings, source, stop, once
        self._schedule = Schedule(settings.refit_ratings, settings.refit_interval_s)
        self._running: Running | None = None
        self._seen = 0  # rating events that the last fit, tried or in service, was given

    def run(self) -> None:
        """Read, fit when it is due, publish; until told to stop, or after one fit."""
        try:
            while not self._stop.is_set() and not self._step():
                pass
        finally:
            if self._running is not None:
                self._running.process.close()

    def _step(self) -> bool:
        """Do one round; return whether the one fit that was asked for is done."""
        source = self._source
        if source.read():
            self._note_seen(watermarks_of(source.in_service))
        if not source.is_caught_up:
            return False
        if self._running is not None:
            return self._look_after(self._running) and self._once
        if self._is_due():
            self._running = self._start()
        return False

    def _is_due(self) -> bool:
        has_model = self._source.in_service is not None
        n_new = len(self._source.log) - self._seen
        if self._once and not len(self._source.log):
            raise FitFailedError("there are no ratings to fit; run: dch publish FILE")
        return self._once or self._schedule.is_due(n_new=n_new, has_model=has_model)

    def _note_seen(self, watermarks: Watermarks) -> None:
        self._seen = len(self._source.log) - self._source.log.n_beyond(watermarks)

    def _start(self) -> Running:
        settings, current = self._settings, self._source.in_service
        ratings, beyond = self._source.log.ratings(watermarks_of(current))
        train, newest = (ratings, None) if current is None else hold_back(ratings, beyond)
        generation = 1 if current is None else current.generation + 1
        watermarks = self._source.positions()
        self._note_seen(watermarks)
        self._schedule.started()
        job = FitRequest(
            ratings=train,
            newest=newest,
            config=DchConfig(
                bits=settings.bits,
                objective=settings.objective,
                seed=settings.seed,
                device=settings.device,
            ),
            generation=generation,
            in_service=None if current is None else (current.location, current.sha256),
        )
        log.info(
            "fit started generation=%d ratings=%d held_back=%d", generation, len(train), len(newest or ())
        )
        return Running(FitProcess(job), generation, watermarks, time.monotonic())

    def _look_after(self, running: Running) -> bool:
        """Return whether the fit is done; then publish it, or say why not."""
        found = running.process.result()
        if found is None:
            return False
        try:
            outcome = self._conclude(running, found)
        except DchError as error:
            found, outcome = FitResult(error=str(error)), "failed"
        finally:
            self._running = None
            running.process.close()
        REFITS.labels(outcome).inc()
        log.log(
            logging.INFO if outcome == "published" else logging.WARNING,
            "fit done generation=%d outcome=%s newest_ndcg=%s in_service_ndcg=%s took_s=%.1f%s",
            running.generation,
            outcome,
            _shown(found.candidate),
            _shown(found.in_service),
            time.monotonic() - running.started,
            found.error and f" error={found.error}",
        )
        if found.is_hopeless or (self._once and outcome != "published"):
            raise FitFailedError(f"nothing was published: {found.error or 'worse than the model in service'}")
        return True

    def _conclude(self, running: Running, found: FitResult) -> str:
        if found.error:
            return "failed"
        if not is_good_enough(found, self._settings.refit_margin):
            return "rejected"
        publish(self._settings, running.process.folder, running.generation, running.watermarks)
        return "published"


def hold_back(ratings: Ratings, is_new: NDArray[np.bool_]) -> tuple[Ratings, Ratings | None]:
    """Split off the newest ratings that the model in service has not seen, so that both are measured fairly.

    Args:
        ratings: oldest first.
        is_new: (n,) whether the model in service has not seen it.

    Returns:
        What to fit, and what to measure on; None where too few are new.
    """
    newest = np.flatnonzero(is_new)[-max(int(len(ratings) * NEWEST_SHARE), ENOUGH) :]
    if len(newest) < ENOUGH or len(newest) == len(ratings):
        return ratings, None
    held = np.zeros(len(ratings), np.bool_)
    held[newest] = True
    return ratings.subset(~held), ratings.subset(held)


def _shown(figure: float | None) -> str:
    return "unmeasured" if figure is None else f"{figure:.4f}"
