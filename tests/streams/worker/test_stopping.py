"""What a worker is waiting for decides whether it may be left behind when the process is told to stop."""

import ctypes
import threading

import pytest
from confluent_kafka import KafkaError
from random_models import random_model

from streams.errors import StoppedError
from streams.kafka import Consumer
from streams.settings import WorkerSettings
from streams.worker import main
from streams.worker.context import WorkerContext
from streams.worker.main import WorkerFailedError
from tests.streams.brokers import eventually, free_ports
from tests.streams.kafka.test_outages import PLACE, FakeClient, FakeMessage
from tests.streams.world import World, worker_process

SETTINGS = WorkerSettings(bootstrap_servers="127.0.0.1:1", broker_patience_s=1)


@pytest.fixture
def stopped(monkeypatch):
    """Return a function that stops a worker whose only thread does not end, and its context."""
    release = threading.Event()
    context = WorkerContext(SETTINGS, threading.Event())
    context.stop.set()
    monkeypatch.setattr(main, "SHUTDOWN_TIMEOUT_S", 0.0)

    def stop(name, target):
        begun = threading.Event()

        def run(context):
            target(lambda: (begun.set(), release.wait()))

        monkeypatch.setattr(main, "THREADS", ((name, run),))
        monkeypatch.setattr(context.stop, "wait", begun.wait)
        main._supervise(context)

    yield stop, context
    release.set()


def test_a_thread_that_waits_for_a_broker_is_left_behind(stopped):
    stop, context = stopped
    context.recommender = object()

    def commit(wait):
        with context.patience.at_most(10).call():
            wait()

    with pytest.raises(StoppedError, match="ingest did not stop within"):
        stop("ingest", commit)


def test_ingest_is_left_behind_while_it_compiles_for_its_first_model(stopped):
    stop, _ = stopped
    with pytest.raises(StoppedError, match="ingest did not stop within"):
        stop("ingest", lambda wait: wait())


def raise_what_is_no_exception():
    """Raise a KafkaError as confluent-kafka does: it is no exception, and no ``except`` names it."""
    error = KafkaError(KafkaError._STATE, "erroneous state")
    found = [ctypes.py_object(type(error)), ctypes.py_object(error)]
    for one in found:
        ctypes.pythonapi.Py_IncRef(one)
    ctypes.pythonapi.PyErr_Restore(*found, None)


def exit_thread():
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("fail", "sentence"),
    [
        (raise_what_is_no_exception, r"ingest failed: KafkaError.*erroneous state"),
        (exit_thread, "SystemExit"),
    ],
)
def test_whatever_a_thread_raises_is_a_failure_of_the_worker(monkeypatch, fail, sentence):
    monkeypatch.setattr(main, "THREADS", (("ingest", lambda context: fail()),))
    with pytest.raises(WorkerFailedError, match=sentence):
        main._supervise(WorkerContext(SETTINGS, threading.Event()))


@pytest.mark.parametrize("name", ["ingest", "requests"])
def test_a_thread_that_hangs_elsewhere_is_a_failure(stopped, name):
    stop, context = stopped
    context.recommender = object() if name == "ingest" else None
    with pytest.raises(WorkerFailedError, match=f"{name} did not stop within"):
        stop(name, lambda wait: wait())


class Client(FakeClient):
    """A client of librdkafka that notes which threads wait while it commits and closes."""

    def __init__(self, patience):
        super().__init__()
        self.patience, self.seen = patience, []

    def commit(self, **kwargs):
        self.seen.append(set(self.patience.calling))

    def close(self):
        self.seen.append(set(self.patience.calling))


def test_commits_and_the_end_of_a_consumer_show_that_they_wait(monkeypatch):
    context = WorkerContext(SETTINGS, threading.Event())
    client = Client(context.patience)
    monkeypatch.setattr("streams.kafka.lasting_client.ConfluentConsumer", client.created)
    consumer = Consumer(SETTINGS, group="g", start="earliest", patience=context.patience)
    consumer.assign({PLACE: None})
    client.messages = [FakeMessage()]
    assert len(consumer.poll()) == 1
    consumer.mark_applied()
    consumer.commit()
    consumer.close()
    assert client.seen == [{threading.current_thread().name}] * 2
    assert context.patience.calling == set()


@pytest.mark.prove
@pytest.mark.broker
@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_sigterm_during_the_compilation_of_the_kernels_is_no_failure(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    quick = settings.as_role(WorkerSettings, artifacts=str(tmp_path / "store"), metrics_port=free_ports(2))
    world = World(quick, tmp_path)
    try:
        world.publish(random_model(bits=64, hidden=64))
        with worker_process(quick, tmp_path / "log", ready=False) as worker:
            eventually(lambda: list((tmp_path / "kernels").rglob("*.nbi")), 120)
            assert worker.terminate(30) == 0, worker.log.read_text()
            assert "Traceback" not in worker.log.read_text()
    finally:
        world.close()
