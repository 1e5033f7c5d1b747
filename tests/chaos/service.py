"""The service of a run: brokers, topics, store and roles, and what is said and waited for."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from random_models import random_model

from dch.models.model import Model
from streams.errors import StreamError
from streams.kafka.records import Record
from streams.settings import ObserverSettings, WorkerSettings
from tests.chaos.processes import Cluster, Log, Role
from tests.chaos.refits import Refits, trainer_settings
from tests.chaos.traffic import Traffic
from tests.streams.brokers import free_ports
from tests.streams.world import World, is_ready

N_WORKERS, N_BROKERS = 2, 3
PATIENCE_S = 900
"""How long anything may take before the run counts as failed."""


class Service:
    """Two workers, a trainer and an observer on an Apache Kafka of three brokers.

    Args:
        options: of the command line.
        folder: an empty one for all data.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.rng = np.random.default_rng(options.seed)
        self.failures: list[str] = []
        self._logs: dict[str, Log] = {}
        self.cluster = Cluster(folder / "kafka", 1 if "brokers" in options.skip else N_BROKERS)
        self.settings = WorkerSettings(
            bootstrap_servers=self.cluster.address,
            prefix="chaos-",
            partitions=4,
            artifacts=str(folder / "store"),
            encode_interval_s=0.5,
            broker_timeout_s=120,
        )
        self.roles: list[Role] = []
        self.refits: Refits | None = None
        """The fits of the trainer; None without one."""

    @property
    def workers(self) -> list[Role]:
        """The workers."""
        return self.roles[:N_WORKERS]

    def prepare(self) -> None:
        """Create topics, publish the first model and the first ratings, and start the roles."""
        (self.folder / "stored").mkdir()
        self.point_store_at("stored")
        self.world = World(self.settings, self.folder)
        self.traffic = Traffic(self.world, self.options, self.rng)
        self.world.publish(self.model(1))
        self._start_roles()
        events = self.traffic.events()
        self.base, self.stream = events[: len(events) // 20], events[len(events) // 20 :]
        self.traffic.publish(self.base)
        self.wait("workers are ready", self.are_ready)
        self.wait("the first ratings are applied", self.is_applied)

    def _start_roles(self) -> None:
        logs = self.options.logs or self.folder
        logs.mkdir(parents=True, exist_ok=True)
        for at in range(N_WORKERS):
            self.roles.append(Role(f"worker-{at}", self.settings.replace(metrics_port=free_ports(2)), logs))
        if "trainer" not in self.options.skip:
            refit_ratings = self.options.refit_ratings or self.options.ratings // 6
            self.roles.append(Role("trainer", trainer_settings(self.settings, refit_ratings), logs))
            self.refits = Refits(self.roles[-1])
        of_observer = self.settings.as_role(ObserverSettings, metrics_port=free_ports(2))
        self.roles.append(Role("observer", of_observer, logs))

    def stop(self) -> None:
        """Kill all that still runs."""
        for role in self.roles:
            role.process.kill()
        self.cluster.call("stop")

    def model(self, generation: int) -> Model:
        """Return a model that nobody fitted."""
        return random_model(
            bits=64,
            hidden=64,
            n_users=self.options.users,
            n_items=self.options.items,
            generation=generation,
            seed=generation,
        )

    def point_store_at(self, target: str) -> None:
        """Point the store at a folder, as a mount does; without one it can be neither read nor written."""
        link = self.folder / "link"
        link.symlink_to(self.folder / target)
        link.replace(self.folder / "store")

    def are_ready(self) -> bool:
        """Return whether all workers are ready."""
        return all(is_ready(role.settings.metrics_port) for role in self.workers)

    def is_applied(self) -> bool:
        """Return whether the workers have committed everything that is on their topics."""
        return all(
            self.world.committed(name) == self.world.ends(name)
            for name in ("ratings", "users", "item-ratings")
        )

    def read_all(self, name: str) -> list[Record]:
        """Return every record that a topic holds now."""
        if name not in self._logs:
            self._logs[name] = Log(self.settings, name)
        return self._logs[name].records()

    def wait(self, what: str, condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Wait for a condition."""
        end = time.monotonic() + within_s
        while True:
            with contextlib.suppress(StreamError):
                if condition():
                    return
            if time.monotonic() > end:
                raise TimeoutError(f"not within {within_s:g} s: {what}; failures so far: {self.failures}")
            time.sleep(0.2)

    def say(self, what: str) -> None:
        """Say on stderr what happens, with the time and the number of ratings so far."""
        at = f"{time.strftime('%H:%M:%S')} {self.traffic.n_published:>8,}"
        print(f"{at} {what}", file=sys.stderr, flush=True)
