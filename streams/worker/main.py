"""The worker as a process: starts its threads, watches over them, and ends them in order."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from dch.errors import DchError
from streams import topics
from streams.errors import StreamError
from streams.health import Checks, Health
from streams.kafka import Admin
from streams.lifecycle import stop_on_signals
from streams.settings import WorkerSettings
from streams.worker.context import Service
from streams.worker.global_tables import run_tables
from streams.worker.ingest import run_ingest
from streams.worker.requests import run_requests

log = logging.getLogger("streams.worker")

SWITCH_S = 0.0005
"""How long a thread may keep the interpreter while another waits (Python's default is 5 ms): ingest decodes
thousands of records in a row, and a request needs its turn a few times."""

END_S = 8.0
"""How long all threads together may take to end; an orchestrator kills after 10 s or more."""

Part = Callable[[Service], None]
PARTS: tuple[tuple[str, Part], ...] = (
    ("tables", run_tables),
    ("requests", run_requests),
    ("ingest", run_ingest),
)


class WorkerFailedError(StreamError):
    """A thread of the worker failed; nothing that it had not applied was committed."""


def run(settings: WorkerSettings) -> None:
    """Run a worker until SIGINT or SIGTERM.

    Raises:
        StreamError: a thread failed, the topics are not as defined, or no broker answered.
    """
    serve(settings, stop_on_signals())


def serve(settings: WorkerSettings, stop: threading.Event) -> None:
    """Run a worker until ``stop`` is set; as ``run``, without signals."""
    topics.require(Admin(settings), settings)
    service = Service(settings, stop)
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        with Health(settings.metrics_host, settings.metrics_port, checks(service)) as health:
            log.info("worker started group=%s metrics_port=%d", service.group, health.port)
            _supervise(service)
    finally:
        sys.setswitchinterval(switch_s)
    log.info("worker stopped group=%s", service.group)


def checks(service: Service) -> Checks:
    """Return what must hold before requests are answered as well as they can be."""
    return {
        "model loaded": lambda: service.recommender is not None,
        "tables read": service.tables_read.is_set,
        "partitions assigned": lambda: bool(service.owned),
        "caught up": lambda: service.is_caught_up,
        "requests read": lambda: bool(service.serving) and service.serving == service.owned,
    }


def _supervise(service: Service) -> None:
    failures: list[tuple[str, BaseException]] = []
    threads = [
        threading.Thread(target=_guarded, args=(service, name, part, failures), name=name, daemon=True)
        for name, part in PARTS
    ]
    for thread in threads:
        thread.start()
    service.stop.wait()
    end = time.monotonic() + END_S
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    late = [thread.name for thread in threads if thread.is_alive()]
    if failures:
        _raise(*failures[0])
    if late:
        raise WorkerFailedError(
            f"{', '.join(late)} did not end within {END_S:g} s; nothing more was committed"
        )


def _raise(name: str, error: BaseException) -> NoReturn:
    if not isinstance(error, StreamError | DchError):
        log.error("worker failed thread=%s", name, exc_info=error)  # a bug: where it is must be told
        raise WorkerFailedError(f"the thread {name} failed: {error!r}") from error
    raise error


def _guarded(service: Service, name: str, part: Part, failures: list[tuple[str, BaseException]]) -> None:
    """Run one thread's part; when it fails, the whole worker stops."""
    try:
        part(service)
    except Exception as error:  # noqa: BLE001 - its failure is the worker's, whatever it is
        failures.append((name, error))
    finally:
        service.stop.set()
