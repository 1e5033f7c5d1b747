"""The observer as a process: starts the Faust app, shows its metrics, and stops it in order."""

import asyncio
import logging
import tempfile
import threading

from streams import topics
from streams.errors import StoppedError, StreamError
from streams.health import Checks, Health
from streams.kafka import Admin, Patience, Producer
from streams.kafka.outbox import Outbox
from streams.lifecycle import stop_on_signals
from streams.metric_types import OfRole, show_zeros
from streams.observer.faust_app import ObserverApp
from streams.settings import ObserverSettings

log = logging.getLogger("streams.observer")

STOP_CHECK_S = 0.2
PROBE_INTERVAL_S = 1.0
READS_AND_WRITES = (topics.SERVED, topics.SERVED.dead_letters, topics.OBSERVER_CHANGELOG)


class ObserverFailedError(StreamError):
    """The observer failed. Nothing was committed that is not in the changelog."""


def run(settings: ObserverSettings) -> None:
    """Run an observer until SIGINT or SIGTERM.

    Raises:
        StreamError: it failed, the topics are not as defined, or no broker answered.
    """
    serve(settings, stop_on_signals())


def serve(settings: ObserverSettings, stop: threading.Event) -> None:
    """Run an observer until ``stop`` is set. Like ``run``, without signals."""
    show_zeros("observer", {"topic": [topics.SERVED.name], "outcome": ["applied", "dead_letter"]})
    for name in ("faust", "mode", "aiokafka", "streams.observer.faust_consumer"):  # the last is Faust's, too
        logging.getLogger(name).setLevel(logging.WARNING)
    patience = Patience(settings.broker_patience_s, stop)
    producer = Producer(settings, patience=patience)
    outbox = Outbox(settings, producer, group=settings.group_of("observer"))
    try:
        with tempfile.TemporaryDirectory(prefix="dch-observer-") as folder:
            asyncio.run(_serve(settings, stop, patience, outbox, folder))
    except StoppedError as reason:
        log.warning("%s", reason)
    finally:
        producer.close()
    log.info("observer stopped group=%s", settings.group_of("observer"))


def checks(app: ObserverApp, patience: Patience) -> Checks:
    """Return the readiness checks: the conditions for counting everything that is served."""
    return {
        "broker reachable": lambda: patience.is_reachable,
        "partitions assigned": lambda: bool(app.observer.partitions),
        "changelog read": lambda: app.is_restored,
    }


async def _serve(
    settings: ObserverSettings, stop: threading.Event, patience: Patience, outbox: Outbox, folder: str
) -> None:
    app, admin = ObserverApp(settings, outbox, patience, folder), Admin(settings, patience)
    with Health(
        settings.metrics_host, settings.metrics_port, checks(app, patience), OfRole("observer")
    ) as health:
        await asyncio.to_thread(topics.require, admin, settings, READS_AND_WRITES)
        log.info("observer started group=%s metrics_port=%d", settings.group_of("observer"), health.port)
        besides = [
            asyncio.create_task(app.guarded(_show(app, settings.show_interval_s))),
            asyncio.create_task(app.guarded(_watch(admin))),
        ]
        await app.run(_until(stop))
        for task in besides:
            task.cancel()
    if app.failure is not None:
        if isinstance(app.failure, StreamError):
            raise app.failure
        log.error("observer failed", exc_info=app.failure)
        raise ObserverFailedError(f"the observer failed: {app.failure!r}") from app.failure


async def _until(stop: threading.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(STOP_CHECK_S)


async def _show(app: ObserverApp, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        await app.show()


async def _watch(admin: Admin) -> None:
    """Ask for a broker about once a second: Faust's consumer waits for one without an end or a word."""
    while True:
        await asyncio.sleep(PROBE_INTERVAL_S)
        await asyncio.to_thread(admin.probe)
