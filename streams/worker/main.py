"""The worker as a process: starts its threads, watches them, and stops them in order."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from dch.errors import DchError
from streams import artifacts, topics
from streams.errors import StoppedError, StreamError
from streams.health import Checks, Health
from streams.kafka import Admin
from streams.lifecycle import stop_on_signals
from streams.metric_types import OfRole, show_zeros
from streams.metrics import INPUTS
from streams.settings import WorkerSettings
from streams.worker.context import WorkerContext
from streams.worker.global_tables import run_global_tables
from streams.worker.ingest_loop import run_ingest
from streams.worker.requests import run_requests

log = logging.getLogger("streams.worker")

THREAD_SWITCH_INTERVAL_S = 0.0005
"""How long a thread may hold the interpreter lock while another waits. Python's default of 5 ms is too long
for requests: ingest decodes thousands of records in a row, and a request needs the lock several times."""

SHUTDOWN_TIMEOUT_S = 8.0
"""How long the threads together may take to stop. Orchestrators kill a process after 10 s or more."""

Target = Callable[[WorkerContext], None]
THREADS: tuple[tuple[str, Target], ...] = (
    ("tables", run_global_tables),
    ("requests", run_requests),
    ("ingest", run_ingest),
)


class WorkerFailedError(StreamError):
    """A thread of the worker failed. Nothing was committed that it had not applied."""


def run(settings: WorkerSettings) -> None:
    """Run a worker until SIGINT or SIGTERM.

    Raises:
        StreamError: a thread failed, the topics are not as defined, or no broker answered.
        DchError: a thread failed in the library.
    """
    serve(settings, stop_on_signals())


def serve(settings: WorkerSettings, stop: threading.Event) -> None:
    """Run a worker until ``stop`` is set. Like ``run``, without signals."""
    artifacts.require_folder(settings.artifacts)  # a store that no attempt can open is an error at once
    show_zeros("worker", {"topic": [name for name in INPUTS if name != topics.SERVED.name]})
    context = WorkerContext(settings, stop)
    default_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(THREAD_SWITCH_INTERVAL_S)
    try:
        with Health(
            settings.metrics_host, settings.metrics_port, checks(context), OfRole("worker")
        ) as health:
            topics.require(Admin(settings, context.patience), settings)
            log.info("worker started group=%s metrics_port=%d", context.group, health.port)
            _supervise(context)
    except StoppedError as reason:
        log.warning("%s", reason)
    finally:
        sys.setswitchinterval(default_interval_s)
    log.info("worker stopped group=%s", context.group)


def checks(context: WorkerContext) -> Checks:
    """Return the readiness checks: the conditions for answering every request from complete state."""
    return {
        "broker reachable": lambda: context.patience.is_reachable,
        "model loaded": lambda: context.recommender is not None,
        "announced model loaded": lambda: not context.missing_model(),
        "tables read": context.tables_read.is_set,
        "partitions assigned": lambda: bool(context.owned),
        "caught up": lambda: context.is_caught_up,
        "requests read": lambda: bool(context.serving) and context.serving == context.owned,
    }


def _supervise(context: WorkerContext) -> None:
    failures: list[tuple[str, BaseException]] = []
    threads = [
        threading.Thread(target=_run_guarded, args=(context, name, target, failures), name=name, daemon=True)
        for name, target in THREADS
    ]
    for thread in threads:
        thread.start()
    context.stop.wait()
    deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    late = [thread.name for thread in threads if thread.is_alive()]
    if failures:
        _raise(*failures[0])
    if late:
        text = f"{', '.join(late)} did not stop within {SHUTDOWN_TIMEOUT_S:g} s; nothing more was committed"
        raise StoppedError(text) if _may_be_left(context).issuperset(late) else WorkerFailedError(text)


def _may_be_left(context: WorkerContext) -> frozenset[str]:
    """Return the threads that lose nothing if the process ends now: what they wait for decides, not the time.

    These are threads that wait for a broker, and *ingest* while it compiles kernels for its first model:
    it has polled nothing yet.
    """
    return frozenset(context.patience.calling) | (frozenset() if context.recommender else {"ingest"})


def _raise(name: str, error: BaseException) -> NoReturn:
    if not isinstance(error, StreamError | DchError):
        log.error("worker failed thread=%s", name, exc_info=error)  # a bug, so its traceback is needed
        raise WorkerFailedError(f"the thread {name} failed: {error!r}") from error
    raise error


def _run_guarded(
    context: WorkerContext, name: str, target: Target, failures: list[tuple[str, BaseException]]
) -> None:
    """Run one thread. When it fails or returns, the whole worker stops."""
    try:
        target(context)
    except StoppedError as reason:
        log.warning("thread=%s %s", name, reason)
    except:  # noqa: E722 - any failure of a thread is one of the worker, also what is no exception
        error: object = sys.exc_info()[1]
        if not isinstance(error, BaseException):  # confluent-kafka may raise a bare KafkaError
            error = WorkerFailedError(f"the thread {name} failed: {error!r}")
        failures.append((name, error))
    finally:
        context.stop.set()
