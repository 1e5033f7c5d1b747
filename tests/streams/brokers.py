"""Brokers for tests, and ``eventually``, which waits for a condition.

The embedded broker is the command that users run. A real Apache Kafka is looked for in this order: the
address in ``KAFKA_BOOTSTRAP``; a distribution on disk in ``KAFKA_HOME`` (default ``../shared/kafka``),
started and stopped by the tests; Docker, through testcontainers. Without one, its tests are skipped.
"""

import json
import os
import resource
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRST_PORT, FIRST_CLIENT_PORT = 10_000, 32_000
"""Ports of servers; Linux gives clients those from 32768 up."""
_given: set[int] = set()


def eventually(condition: Callable[[], object], within_s: float = 20.0, every_s: float = 0.02) -> object:
    """Return the first true result of the condition; fail the test if that takes too long."""
    end = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > end:
            pytest.fail(f"not true within {within_s:g} s: {condition}")
        time.sleep(every_s)
    return found


@contextmanager
def embedded_broker(
    data: Path, *, port: int = 0, limits: Mapping[int, int] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run ``dch broker start``, with limits of ``resource``; the process has an attribute ``address``."""

    def set_limits() -> None:
        for kind, limit in (limits or {}).items():
            resource.setrlimit(kind, (limit, limit))

    command = [sys.executable, "-m", "streams", "broker", "start", "--data", str(data), "--port", str(port)]
    log = data.with_suffix(".log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=set_limits if limits else None,
        )
    try:
        line = process.stdout.readline()
        assert line.startswith("broker ready at "), f"{line}{log.read_text()}"
        process.address = line.split()[3].rstrip(",")
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str], within_s: float = 30.0) -> int:
    """End a process with SIGTERM, as an orchestrator does, and return its exit code."""
    process.terminate()
    try:
        return process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def real_broker(folder: Path) -> Iterator[str]:
    """Yield the address of a real Apache Kafka, or skip."""
    if address := os.environ.get("KAFKA_BOOTSTRAP"):
        yield address
    elif (script := _cluster_script()) and shutil.which("java"):
        with _distribution(script, folder) as cluster:
            yield cluster.address
    elif shutil.which("docker") and _docker_answers():
        from testcontainers.community.kafka import KafkaContainer

        with KafkaContainer().with_kraft() as container:
            yield container.get_bootstrap_server()
    else:
        pytest.skip(
            "no Apache Kafka: set KAFKA_BOOTSTRAP to a running one, or KAFKA_HOME to a distribution "
            "(with Java 17 on the PATH), or start Docker"
        )


def kafka_home() -> Path:
    """Return the folder of the Apache Kafka distribution, which may be missing."""
    return Path(os.environ.get("KAFKA_HOME", ROOT / ".." / "shared" / "kafka")).resolve()


def _cluster_script() -> Path | None:
    script = kafka_home() / "bin" / "cluster"
    return script if script.exists() else None


@dataclass(frozen=True)
class Cluster:
    """An Apache Kafka that the tests started, and may break."""

    script: Path
    folder: Path
    client: Mapping[str, str]
    """Settings of librdkafka that a client needs: addresses, and those of a secure cluster."""

    @property
    def address(self) -> str:
        """The addresses of its brokers."""
        return self.client["bootstrap.servers"]

    @property
    def ids(self) -> list[int]:
        """The numbers of its brokers."""
        return list(range(1, len(self.address.split(",")) + 1))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hang the broker: it keeps its connections and answers nothing."""
        self._run("pause", 1)
        try:
            yield
        finally:
            self._run("resume", 1)

    def kill(self, broker: int = 1) -> None:
        """Crash a broker with SIGKILL."""
        self._run("kill", broker)

    def restart(self, broker: int = 1) -> None:
        """Stop a broker in order if it runs, start it on the data that it left, and wait until it serves."""
        self._run("restart", broker)

    def _run(self, action: str, broker: int) -> None:
        command = [self.script, action, self.folder, str(broker)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)


def alter_quota(address: str, alter: str, value: str) -> None:
    """Alter the quotas of all clients, as ``kafka-configs.sh`` takes them."""
    script = kafka_home() / "bin" / "kafka-configs.sh"
    command = [script, "--bootstrap-server", address, "--alter", alter, value]
    entity = ["--entity-type", "clients", "--entity-default"]
    subprocess.run([*command, *entity], check=True, capture_output=True, timeout=300)


@contextmanager
def own_cluster(folder: Path, *options: str) -> Iterator[Cluster]:
    """Start an Apache Kafka that this test alone uses, or skip; options are those of the script."""
    script = _cluster_script()
    if script is None or not shutil.which("java"):
        pytest.skip("no Apache Kafka to break: set KAFKA_HOME to a distribution, with Java 17 on the PATH")
    with _distribution(script, folder, *options) as cluster:
        yield cluster


@contextmanager
def _distribution(script: Path, folder: Path, *options: str) -> Iterator[Cluster]:
    try:
        client = _started(script, folder, options)
        yield Cluster(script, folder, client)
    finally:
        subprocess.run([script, "stop", folder], check=False, capture_output=True, timeout=60)


def _started(script: Path, folder: Path, options: Sequence[str], starts: int = 3) -> Mapping[str, str]:
    """Start a cluster and return the settings of its clients; a start that fails is tried on other ports.

    Between the probe of a port and its use by the broker, seconds pass in which others can take it.
    """
    problems = ""
    for _ in range(starts):
        shutil.rmtree(folder, ignore_errors=True)
        command = [script, "start", folder, "--port", str(free_ports(200)), *options]
        found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)
        if found.returncode == 0:
            return json.loads(found.stdout)
        problems += f"{command}\n{found.stderr}\n"
        subprocess.run([script, "stop", folder], check=False, capture_output=True, timeout=60)
    pytest.fail(f"Apache Kafka did not start in {starts} tries:\n{problems}")


def free_ports(apart: int) -> int:
    """Return a port P for the cluster script, which also needs P + apart / 2 and P + apart to be free.

    A port is given out once, and each worker of pytest has ports of its own. All are below those that the
    system gives to clients: one that reconnects to a dead server can be given the server's own port.
    """
    first, last = _own_ports()
    while True:
        port = first + secrets.randbelow(last - apart - first)
        ports = {port, port + apart // 2, port + apart}
        if ports.isdisjoint(_given) and all(_is_free(port) for port in ports):
            _given.update(ports)
            return port


def _own_ports() -> tuple[int, int]:
    """Return the first port that this worker of pytest may use, and the first that it may not."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = (FIRST_CLIENT_PORT - FIRST_PORT) // workers
    return FIRST_PORT + worker * share, FIRST_PORT + (worker + 1) * share


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _docker_answers() -> bool:
    return subprocess.run(["docker", "info"], check=False, capture_output=True, timeout=20).returncode == 0
