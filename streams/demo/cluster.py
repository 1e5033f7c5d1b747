"""Start and stop the service of the demo: its topics on a broker, and the roles."""

import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dch import Recommender
from dch.artifact import save_model
from streams import artifacts, topics
from streams.demo.processes import Child, DemoError, Processes
from streams.errors import StreamError
from streams.kafka import Admin, Consumer, Partition
from streams.settings import TrainerSettings
from streams.settings.sources import outer_environ

DEFAULT_PORT = 9092
ANY_PORT = 0
BROKER_READY = r"broker ready at ([^,\s]+)"

BUSY_MACHINE = {"broker_timeout_s": 60.0, "broker_patience_s": 900.0}
"""The demo and its roles share one machine, which may be busy. A broker that is slow is not gone."""


@dataclass(frozen=True)
class DemoCluster:
    """The running processes of the demo."""

    settings: TrainerSettings
    folder: Path
    """Logs, artifacts and the broker's data."""

    processes: Processes

    def start_role(
        self, name: str, *, variables: Mapping[str, str] | None = None, **changes: object
    ) -> Child:
        """Start a role with metrics on a free port, and return its process; see ``Processes.wait_ready``.

        Args:
            name: worker, trainer or observer.
            variables: variables of this role alone, for settings that trainers do not have.
            changes: settings of this role.
        """
        # The environment may hold settings of the user's own service, which must not affect the demo.
        environment = outer_environ() | self.settings.replace(metrics_port=ANY_PORT, **changes).variables()
        return self.processes.start(name, [name], environment | dict(variables or {}))

    def publish_generation(self, recommender: Recommender) -> None:
        """Publish a model that was fitted on all ratings published so far."""
        folder = self.folder / f"generation-{recommender.model.generation}"
        save_model(folder, recommender.model)
        with closing(self._watcher()) as watcher:
            ends = watcher.end_offsets(self._partitions)
        watermarks = {found.partition: end for found, end in ends.items()}
        artifacts.publish_model(self.settings, folder, watermarks)

    def wait_applied(self) -> None:
        """Wait until the worker has applied every rating on the topic: it commits what it has applied.

        Raises:
            DemoError: a process has ended, or nothing changes any more.
        """
        with closing(self._watcher()) as watcher:
            ends = watcher.end_offsets(self._partitions)
            self.processes.wait_for(
                "the worker to apply all ratings",
                lambda: watcher.committed(self._partitions),
                lambda applied: all(applied[one] >= end for one, end in ends.items()),
                describe=lambda applied: f"{sum(applied.values())} of {sum(ends.values())} ratings applied",
            )

    def _watcher(self) -> Consumer:
        """Return a consumer that sees the worker's committed offsets and is no member of its group."""
        return Consumer(self.settings, group=self.settings.group_of("worker"), start="earliest")

    @property
    def _partitions(self) -> list[Partition]:
        topic = self.settings.topic(topics.RATINGS.name)
        return [Partition(topic, number) for number in range(self.settings.partitions)]


@contextmanager
def start_cluster(settings: TrainerSettings, say: Callable[[str], None]) -> Iterator[DemoCluster]:
    """Start an embedded broker with the topics of the demo; end every process on exit.

    Args:
        settings: settings of the roles; the address of the broker is replaced.
        say: prints a sentence.
    """
    with _folder() as folder, Processes(folder) as processes:
        found = settings.replace(bootstrap_servers=_start_broker(processes, folder), **_local(folder))
        topics.create(Admin(found), found)
        say(f"embedded broker: {found.bootstrap_servers}")
        yield DemoCluster(found, folder, processes)


@contextmanager
def join_cluster(settings: TrainerSettings, say: Callable[[str], None]) -> Iterator[DemoCluster]:
    """Create topics with a prefix of their own on a running broker; end the roles and delete them on exit.

    Args:
        settings: settings of the roles, with the address of the broker; the prefix is replaced.
        say: prints a sentence.

    Raises:
        BrokerUnavailableError: no broker answers, or it refuses.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(_folder())
        prefix = f"dch-demo-{uuid.uuid4().hex[:8]}-"
        found = settings.replace(prefix=prefix, **_local(folder))
        stack.enter_context(_own_topics(found, say))
        yield DemoCluster(found, folder, stack.enter_context(Processes(folder)))


def require_broker(settings: TrainerSettings) -> None:
    """Check that a broker answers, before the work starts.

    Raises:
        BrokerUnavailableError: no broker answers, or it refuses.
    """
    Admin(settings).partitions()


@contextmanager
def _own_topics(settings: TrainerSettings, say: Callable[[str], None]) -> Iterator[None]:
    """Create the topics of the demo, and delete them on exit, or say why they were kept."""
    admin, servers = Admin(settings), settings.bootstrap_servers
    say(f"broker: {servers}; every topic and group of the demo begins with {settings.prefix}")
    try:
        topics.create(admin, settings)
        yield
    finally:
        try:
            admin.delete([settings.topic(topic.name) for topic in topics.EVERY_TOPIC])
        except (StreamError, OSError) as error:
            say(
                f"the topics {settings.prefix}* were kept, because they could not be deleted: {error}; to "
                f"delete them: kafka-topics.sh --bootstrap-server {servers} --delete "
                f"--topic '{settings.prefix}.*'"
            )
        else:
            say(f"the topics {settings.prefix}* were deleted")


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dch-demo-") as name:
        yield Path(name)


def _local(folder: Path) -> dict[str, object]:
    return {"artifacts": str(folder / "artifacts"), **BUSY_MACHINE}


def _start_broker(processes: Processes, folder: Path) -> str:
    """Start the embedded broker on its usual port, or on a free one; return its address."""
    if _is_free(DEFAULT_PORT):
        child = _spawn_broker(processes, folder, DEFAULT_PORT)
        try:
            return _address(processes, child)
        except DemoError:
            if not child.find("(port .* is in use)"):  # another program may have been quicker
                raise
            processes.children.remove(child)
    return _address(processes, _spawn_broker(processes, folder, ANY_PORT))


def _spawn_broker(processes: Processes, folder: Path, port: int) -> Child:
    arguments = ["broker", "start", "--data", str(folder / "broker"), "--port", str(port)]
    return processes.start("broker", arguments, outer_environ())


def _address(processes: Processes, broker: Child) -> str:
    return processes.wait_for("the broker to start", lambda: broker.find(BROKER_READY), bool)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
