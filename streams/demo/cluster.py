"""The stage of the demo: a broker, its topics, the first generation, and the roles around it."""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dch import Recommender
from dch.artifact import save_model
from streams import artifacts, topics
from streams.demo.processes import Child, Processes
from streams.kafka import Admin, Consumer, Partition, Producer
from streams.kafka.records import Output
from streams.messages import ModelPointer, encode_model_pointer
from streams.messages.state import MODEL_KEY
from streams.settings import TrainerSettings
from streams.settings_sources import outer_environ

USUAL_PORT = 9092
BROKER_S = 30.0


@dataclass(frozen=True)
class Stage:
    """What runs, and where."""

    settings: TrainerSettings
    folder: Path
    """Logs, artifacts and the broker's data."""

    processes: Processes

    def start_role(self, name: str, **changes: object) -> tuple[Child, str]:
        """Start a role with its metrics on a free port; return it and the address of its metrics."""
        port = free_port()
        # Settings of the user's own service in the environment are not meant for the demo.
        plain = outer_environ()
        environment = plain | {
            "DCH_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "DCH_ARTIFACTS": self.settings.artifacts,
            "DCH_BITS": str(self.settings.bits),
            "DCH_METRICS_PORT": str(port),
            **{f"DCH_{setting.upper()}": str(value) for setting, value in changes.items()},
        }
        return self.processes.start(name, [name], environment), f"http://127.0.0.1:{port}"

    def publish_generation(self, recommender: Recommender) -> None:
        """Put a fitted model into the store, and the pointer to it on its topic."""
        generation = recommender.model.generation
        local = self.folder / f"generation-{generation}"
        save_model(local, recommender.model)
        location = artifacts.location_of(self.settings.artifacts, generation)
        pointer = ModelPointer(
            generation=generation,
            location=location,
            sha256=artifacts.upload(local, location),
            watermarks={str(place.partition): end for place, end in self._rating_ends().items()},
            trained_at=int(time.time() * 1000),
            metrics=dict(recommender.model.metrics),
        )
        producer = Producer(self.settings)
        topic = self.settings.topic(topics.MODELS.name)
        producer.send(Output(topic, MODEL_KEY, encode_model_pointer(pointer)))
        producer.flush()

    def _rating_ends(self) -> dict[Partition, int]:
        topic = self.settings.topic(topics.RATINGS.name)
        consumer = Consumer(self.settings, group=self.settings.group_of("demo"), start="earliest")
        try:
            return consumer.ends(Partition(topic, part) for part in range(self.settings.partitions))
        finally:
            consumer.close()


@contextmanager
def set_up(settings: TrainerSettings) -> Iterator[Stage]:
    """Start a broker and create the topics; end every process when left."""
    with (
        tempfile.TemporaryDirectory(prefix="dch-demo-") as name,
        Processes(Path(name)) as processes,
    ):
        folder = Path(name)
        servers = _start_broker(processes, folder)
        staged = settings.replace(bootstrap_servers=servers, artifacts=str(folder / "artifacts"))
        topics.create(Admin(staged), staged)
        yield Stage(staged, folder, processes)


def _start_broker(processes: Processes, folder: Path) -> str:
    port = USUAL_PORT if _is_free(USUAL_PORT) else free_port()
    arguments = ["broker", "start", "--data", str(folder / "broker"), "--port", str(port)]
    child = processes.start("broker", arguments, outer_environ())
    end = time.monotonic() + BROKER_S
    while _is_free(port):
        child.require_alive()
        if time.monotonic() > end:
            child.process.terminate()
        time.sleep(0.05)
    return f"127.0.0.1:{port}"


def free_port() -> int:
    """Return a port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
