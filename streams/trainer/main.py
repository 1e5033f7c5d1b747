"""The trainer process: read the log while fits run in a child process, and publish good models."""

import logging
import threading
import time
from contextlib import closing
from dataclasses import dataclass

from dch.config import DchConfig
from dch.errors import DchError
from streams import artifacts, topics
from streams.errors import DeliveryError, StoppedError, StreamError
from streams.health import Health
from streams.kafka import Admin, Patience
from streams.lifecycle import stop_on_signals
from streams.metric_types import OfRole, show_zeros
from streams.metrics import REFIT_DURATION_SECONDS, REFIT_NEW_RATINGS, REFITS
from streams.settings import TrainerSettings
from streams.trainer.dead_letter_watch import watch_dead_letters
from streams.trainer.fit import FitProcess, FitRequest, FitStartError
from streams.trainer.gate import FAILED, PUBLISHED, REJECTED, UNMEASURED, FitResult, hold_back, too_few_new
from streams.trainer.publisher import Publisher
from streams.trainer.rating_log import UnseenRatings, Watermarks
from streams.trainer.refit_metrics import RefitMetrics
from streams.trainer.schedule import Schedule
from streams.trainer.source import Source, counted_from, watermarks_of

log = logging.getLogger("streams.trainer")


class FitFailedError(StreamError):
    """The fit of ``--once`` failed or was not good enough, or no fit can succeed with these settings."""


@dataclass(frozen=True)
class Running:
    """A running fit."""

    process: FitProcess
    generation: int
    watermarks: Watermarks
    started: float


def run(settings: TrainerSettings, *, once: bool = False, accept_unmeasured: bool = False) -> None:
    """Run a trainer until SIGINT or SIGTERM; with ``once``, until one fit is done.

    Args:
        settings: the settings.
        once: fit or refit once, then return.
        accept_unmeasured: publish a refit also if it could not be compared with the model in service.

    Raises:
        StreamError: a topic differs from its definition, no broker answers, or ``once`` publishes nothing,
            also because it was told to stop.
        DchError: the store cannot be written and read, or its package is not installed.
    """
    serve(settings, stop_on_signals(), once=once, accept_unmeasured=accept_unmeasured)


def serve(
    settings: TrainerSettings, stop: threading.Event, *, once: bool = False, accept_unmeasured: bool = False
) -> None:
    """Run a trainer until ``stop`` is set; see ``run``."""
    artifacts.check_store(settings.artifacts)
    show_zeros("trainer")
    patience = Patience(settings.broker_patience_s, stop)
    sources: list[Source] = []  # empty until the topics are found
    checks = {
        "broker reachable": lambda: patience.is_reachable,
        "ratings read": lambda: any(source.is_caught_up for source in sources),
    }
    is_done, why_not = False, "nothing was published"
    with Health(settings.metrics_host, settings.metrics_port, checks, OfRole("trainer")) as health:
        log.info("trainer started metrics_port=%d", health.port)
        try:
            topics.require(Admin(settings, patience), settings)
            sources.append(source := Source(settings, patience=patience))
            with (
                closing(source),
                closing(Publisher(settings, patience)) as publisher,
                watch_dead_letters(settings, stop),
            ):
                is_done = Trainer(
                    settings, source, publisher, stop, once=once, accept_unmeasured=accept_unmeasured
                ).run()
        except StoppedError as reason:
            log.warning("%s", why_not := str(reason))
    log.info("trainer stopped")
    if once and not is_done:
        raise FitFailedError(f"stopped before the fit was done: {why_not}")


class Trainer:
    """Starts fits when they are due, and publishes models that are good enough.

    It does so only while it is the active trainer. As a standby it reads the log, so that it can take over.
    """

    def __init__(
        self,
        settings: TrainerSettings,
        source: Source,
        publisher: Publisher,
        stop: threading.Event,
        *,
        once: bool,
        accept_unmeasured: bool = False,
    ) -> None:
        self._settings, self._source, self._stop, self._once = settings, source, stop, once
        self._publisher = publisher
        self._is_active: bool | None = None  # None until the log is read
        self._accept_unmeasured = accept_unmeasured
        self._schedule = Schedule(settings.refit_ratings, settings.refit_interval_s)
        self._running: Running | None = None
        self._refit_metrics = RefitMetrics()
        self._unseen = UnseenRatings(source.log)  # by the last started fit, or by the model in service

    def run(self) -> bool:
        """Read, fit and publish until ``stop`` is set, or until one fit is done with ``once``.

        Returns:
            Whether the fit of ``once`` is done.
        """
        try:
            while not self._stop.is_set():
                if self._step():
                    return True
            return False
        finally:
            self._end_fit()

    def _step(self) -> bool:
        """Run one iteration; return whether the fit of ``once`` is done."""
        source = self._source
        if source.read():
            self._unseen.restart(counted_from(source.in_service))
            self._publisher.note(source.in_service)
            self._refit_metrics.restore(source.newest_models)
        self._follow_ownership()
        if not self._is_active or not source.is_caught_up:
            return False
        if self._running is not None:
            return self._check(self._running) and self._once
        if self._is_due():
            self._begin()
        return False

    def _follow_ownership(self) -> None:
        """Notice that this trainer became the active one, or is not any more."""
        is_active = self._publisher.poll(has_fit=self._running is not None)
        if not self._source.is_caught_up or is_active == self._is_active:
            return
        self._is_active = is_active
        if not is_active:
            self._end_fit()
            way_out = "; to give up, press Ctrl-C" if self._once else ""
            log.info(
                "standing by until no other trainer is active%s group=%s", way_out, self._publisher.group
            )
            return
        log.info("active trainer group=%s", self._publisher.group)
        self._source.require_models()  # the trainer before may have published until now

    def _end_fit(self) -> None:
        if self._running is not None:
            self._running.process.close()
            self._running = None
            self._count_again()

    def _count_again(self) -> None:
        """Count the ratings of a fit towards the next one: it was ended, or the brokers took no pointer.

        A fit that was rejected, or failed otherwise, waits for as many new ratings again.
        """
        self._unseen.restart(counted_from(self._source.in_service))

    def _is_due(self) -> bool:
        has_model = self._source.in_service is not None
        if self._once and not len(self._source.log):
            raise FitFailedError("there are no ratings to fit; run: dch publish FILE")
        REFIT_NEW_RATINGS.set(n_new := self._unseen.count())
        return self._once or self._schedule.is_due(n_new=n_new, has_model=has_model)

    def _begin(self) -> None:
        """Start a fit, unless it is clear before that it could not be compared with the model in service."""
        request, watermarks = self._request(), self._source.positions()
        self._unseen.restart(watermarks)
        self._schedule.started()
        if not (request.is_measurable or request.accept_unmeasured):
            self._end(request.generation, time.monotonic(), too_few_new())
            return
        log.info(
            "fit started generation=%d ratings=%d held_back=%d",
            request.generation,
            len(request.ratings),
            len(request.newest or ()),
        )
        started = time.monotonic()
        try:
            process = FitProcess(request)
        except FitStartError as error:
            log.warning("the fit could not be started", exc_info=error)
            self._end(request.generation, started, FitResult(FAILED, str(error)))
        else:
            self._running = Running(process, request.generation, watermarks, started)

    def _request(self) -> FitRequest:
        current = self._source.in_service
        ratings, beyond = self._source.log.ratings(watermarks_of(current))
        train, newest = (ratings, None) if current is None else hold_back(ratings, beyond)
        return FitRequest(
            ratings=train,
            newest=newest,
            config=_fit_config(self._settings),
            generation=self._source.next_generation,
            in_service=None if current is None else (current.location, current.sha256),
            margin=self._settings.refit_margin,
            accept_unmeasured=self._accept_unmeasured,
        )

    def _check(self, running: Running) -> bool:
        """Return whether a fit is done; if so, publish its model or log why not."""
        result = running.process.result()
        if result is None:
            return False
        try:
            if result.outcome == PUBLISHED:
                self._publish(running)
        except (DchError, DeliveryError) as error:
            result = FitResult(FAILED, str(error))
            if isinstance(error, DeliveryError):  # the next turn begins again
                self._count_again()
        finally:
            self._running = None
            REFIT_DURATION_SECONDS.observe(time.monotonic() - running.started)
            running.process.close()
        self._end(running.generation, running.started, result)
        return True

    def _end(self, generation: int, started: float, result: FitResult) -> None:
        """Count and log how a fit ended.

        Raises:
            FitFailedError: no model is known to be published, and ``once`` is set or no fit can succeed.
        """
        REFITS.labels(result.outcome).inc()
        self._refit_metrics.show(generation, result)
        _log_outcome(generation, started, result)
        if result.is_permanent or (self._once and result.outcome != PUBLISHED):
            raise FitFailedError(_why_not(result))

    def _publish(self, running: Running) -> None:
        self._publisher.publish(running.process.folder, running.watermarks)
        self._source.require_models()  # the next fit begins from this model, with the next number


def _fit_config(settings: TrainerSettings) -> DchConfig:
    return DchConfig(
        bits=settings.bits,
        objective=settings.objective,
        seed=settings.seed,
        neighbours=None if settings.neighbours == "auto" else int(settings.neighbours),
        device=settings.device,
        threads=settings.threads,
    )


def _why_not(result: FitResult) -> str:
    if result.outcome == REJECTED:
        return "nothing was published: the new model is worse than the model in service"
    if result.outcome == UNMEASURED:
        return (
            "nothing was published: the new model could not be compared with the model in service, which "
            f"stays: {result.reason}; to publish it all the same, run: dch trainer --once --accept-unmeasured"
        )
    return f"the fit failed: {result.reason}"


def _log_outcome(generation: int, started: float, result: FitResult) -> None:
    log.log(
        logging.INFO if result.outcome == PUBLISHED else logging.WARNING,
        "fit done generation=%d outcome=%s newest_ndcg=%s (before the last update) in_service_ndcg=%s "
        "took_s=%.1f%s",
        generation,
        result.outcome,
        _format(result.candidate),
        _format(result.in_service),
        time.monotonic() - started,
        result.reason and f" reason={result.reason}",
    )


def _format(ndcg: float | None) -> str:
    return "unmeasured" if ndcg is None else f"{ndcg:.4f}"
