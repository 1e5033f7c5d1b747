"""Start and stop the service of the demo: a broker, its topics, and the roles."""

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
from streams.kafka import Admin, Consumer, Partition
from streams.settings import TrainerSettings
from streams.settings.sources import outer_environ

DEFAULT_PORT = 9092
BROKER_START_S = 30.0


@dataclass(frozen=True)
class DemoCluster:
    """The running processes of the demo."""

    settings: TrainerSettings
    folder: Path
    """Logs, artifacts and the broker's data."""

    processes: Processes

    def start_role(self, name: str, **changes: object) -> tuple[Child, str]:
        """Start a role with metrics on a free port; return its process and the URL of its metrics server.

        Args:
            name: worker or trainer.
            changes: settings of this role.
        """
        port = free_port()
        # The environment may hold settings of the user's own service, which must not affect the demo.
        environment = outer_environ() | {
            "DCH_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "DCH_ARTIFACTS": self.settings.artifacts,
            "DCH_BITS": str(self.settings.bits),
            "DCH_METRICS_PORT": str(port),
            **{f"DCH_{setting.upper()}": str(value) for setting, value in changes.items()},
        }
        return self.processes.start(name, [name], environment), f"http://127.0.0.1:{port}"

    def publish_generation(self, recommender: Recommender) -> None:
        """Publish a model that was fitted on all ratings published so far."""
        folder = self.folder / f"generation-{recommender.model.generation}"
        save_model(folder, recommender.model)
        artifacts.publish_model(self.settings, folder, self._rating_ends())

    def _rating_ends(self) -> dict[int, int]:
        topic = self.settings.topic(topics.RATINGS.name)
        partitions = [Partition(topic, number) for number in range(self.settings.partitions)]
        consumer = Consumer(self.settings, group=self.settings.group_of("demo"), start="earliest")
        try:
            ends = consumer.end_offsets(partitions)
        finally:
            consumer.close()
        return {found.partition: end for found, end in ends.items()}


@contextmanager
def start_cluster(settings: TrainerSettings) -> Iterator[DemoCluster]:
    """Start a broker and create the topics; end every process on exit."""
    with (
        tempfile.TemporaryDirectory(prefix="dch-demo-") as name,
        Processes(Path(name)) as processes,
    ):
        folder = Path(name)
        servers = _start_broker(processes, folder)
        found = settings.replace(bootstrap_servers=servers, artifacts=str(folder / "artifacts"))
        topics.create(Admin(found), found)
        yield DemoCluster(found, folder, processes)


def _start_broker(processes: Processes, folder: Path) -> str:
    port = DEFAULT_PORT if _is_free(DEFAULT_PORT) else free_port()
    arguments = ["broker", "start", "--data", str(folder / "broker"), "--port", str(port)]
    child = processes.start("broker", arguments, outer_environ())
    end = time.monotonic() + BROKER_START_S
    while _is_free(port):
        child.require_alive()
        if time.monotonic() > end:
            child.process.terminate()
        time.sleep(0.05)
    return f"127.0.0.1:{port}"


def free_port() -> int:
    """Return a port of this machine on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
