"""What is broken: the brokers and the roles, each a process; and readers of whole topics."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from streams.kafka import Consumer, Partition
from streams.kafka.records import Record
from streams.settings import WorkerSettings
from tests.streams.brokers import ROOT, alter_quota, free_ports, kafka_home
from tests.streams.world import environ


class Cluster:
    """An Apache Kafka of one or three brokers."""

    def __init__(self, folder: Path, n_brokers: int) -> None:
        self.folder = folder
        port = str(free_ports(200))
        try:
            found = self.insist("start", "--brokers", str(n_brokers), "--port", port)
        except subprocess.CalledProcessError:
            self.call("stop")
            raise
        self.address = json.loads(found)["bootstrap.servers"]

    def call(self, action: str, *rest: str) -> str:
        command = [kafka_home() / "bin" / "cluster", action, self.folder, *rest]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout

    def insist(self, action: str, *rest: str) -> str:
        """Start something; on a busy machine a broker needs longer than the script waits."""
        for _ in range(3):
            with contextlib.suppress(subprocess.CalledProcessError):
                return self.call(action, *rest)
        return self.call(action, *rest)

    def quota(self, alter: str, value: str) -> None:
        alter_quota(self.address, alter, value)


class Log:
    """All records of a topic. Each call of ``records`` reads only what was added since the last one."""

    def __init__(self, settings: WorkerSettings, name: str) -> None:
        group = settings.prefix + "chaos"
        self._consumer = Consumer(settings, group=group, start="earliest", fill_s=0.05)
        n_partitions = 1 if name.split("-dlt")[0] == "models" else settings.partitions
        self._places = [Partition(settings.topic(name), number) for number in range(n_partitions)]
        self._consumer.assign(dict.fromkeys(self._places, 0))
        self._records: list[Record] = []

    def records(self) -> list[Record]:
        """Return the records up to the present end."""
        ends = self._consumer.end_offsets(self._places)
        while any((self._consumer.position(one) or 0) < end for one, end in ends.items()):
            self._records += self._consumer.poll(1)
        return self._records


class Role:
    """A role as a process, started again after a kill; ending by itself is a failure."""

    def __init__(self, name: str, settings: WorkerSettings, folder: Path) -> None:
        self.name, self.settings = name, settings
        self.log = folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        with self.log.open("a") as errors:
            command = [sys.executable, "-m", "streams", self.name.split("-")[0]]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environ(self.settings), stderr=errors)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.start()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)
