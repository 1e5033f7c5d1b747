"""A real run to watch: a broker, two workers, a trainer, an observer, a stream, and Prometheus."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from streams import topics
from streams.demo.processes import Processes
from streams.kafka import Admin
from streams.settings import TrainerSettings
from streams.settings.sources import outer_environ
from tests.deploy.prometheus_tools import ROOT, RULES, run, tool
from tests.streams.brokers import eventually, free_ports, stop

PREFIX = "shop-"
PARTITIONS = 12
STREAM = ROOT / "deploy" / "sample_stream.py"
FIRST_RATINGS, REFIT_RATINGS = 4000, 1500
"""The first refit is one from the model in service: with half as many ratings again it were a full fit."""

RATINGS_PER_S, REQUESTS_PER_S, BAD_PER_S = 120, 8, 0.5
DAY_S = 24 * 3600
HISTORY_STEP_S = 300
HISTORY = {
    "new_users:dch_prequential_hits:rate1h": 0.4,
    "new_users:dch_prequential_trials:rate1h": 4.0,
}
"""Series of the week before the run, with one value: they stand for a week of running."""


OF_ROLE = {"worker": {"DCH_SERVED_SHARE": "1"}, "observer": {"DCH_SHOW_INTERVAL_S": "5"}}
"""Variables of one role: all users are observed, and windows are shown soon."""


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def get(self, path, **parameters):
        """Return the data of an answer of the API."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def value(self, expression):
        """Return the series of an expression now."""
        return self.get("query", query=expression)["result"]

    def samples(self, expression, start, end, step_s=2):
        """Return the series of an expression over a time, each with its samples."""
        found = self.get("query_range", query=expression, start=start, end=end, step=step_s)
        return found["result"]


@dataclass(frozen=True)
class Run:
    """What is running."""

    prometheus: Prometheus
    processes: Processes
    settings: TrainerSettings
    started_at: float
    """Seconds since 1970."""

    ports: dict
    """The metrics port of each process by its name."""

    folder: Path
    quick: Prometheus | None
    """A second Prometheus with the same rules, all durations divided by ``FACTOR``; None if not asked for."""

    of_role: Mapping[str, Mapping[str, str]]
    """Variables of one role."""

    stream: subprocess.Popen | None = None
    """The sample stream."""

    ready_at: float = 0.0
    """Seconds since 1970: all roles are ready, and the stream begins."""

    def kill(self, name):
        """Kill a process, as in a crash."""
        child = next(child for child in self.processes.children if child.name == name)
        self.processes.children.remove(child)
        child.process.kill()
        child.process.wait()

    def start(self, name, role, **changes):
        """Start a role under a name of its own, at the port that Prometheus scrapes; return its process."""
        environment = (
            outer_environ() | self.settings.replace(metrics_port=self.ports[name], **changes).variables()
        )
        return self.processes.start(name, [role], environment | self.of_role.get(role, {}))


@contextmanager
def live_run(broker, folder, *, bad_per_s=BAD_PER_S, of_role=OF_ROLE, has_quick=False):
    """Run the service on a broker with a stream of ratings and requests; yield the run, which goes on.

    Args:
        broker: its address.
        folder: for all files.
        bad_per_s: records a second that no worker can read.
        of_role: variables of one role.
        has_quick: whether a second Prometheus runs, with the same rules and short durations.
    """
    settings = TrainerSettings(
        bootstrap_servers=broker,
        prefix=PREFIX,
        partitions=PARTITIONS,
        artifacts=str(folder / "store"),
        broker_timeout_s=60,
        refit_ratings=REFIT_RATINGS,
        refit_margin=0.5,  # on made-up ratings a refit may be worse by chance
    )
    topics.create(Admin(settings), settings)
    ports = {
        name: free_ports(2) for name in ("worker-1", "worker-2", "trainer", "observer", "prometheus", "quick")
    }
    with Processes(folder) as processes:
        _stream(settings, "--first-ratings", FIRST_RATINGS, "--duration-s", 0)
        _dch(settings, "trainer", "--once")
        second = (
            prometheus(folder / "quick", ports, "quick", rules=quick_rules(folder / "quick"), scrape_s=1)
            if has_quick
            else nullcontext()
        )
        with prometheus(folder / "watch", ports, "prometheus") as watch, second as quick:
            found = Run(watch, processes, settings, time.time(), ports, folder, quick, of_role)
            for name in ("worker-1", "worker-2", "trainer", "observer"):
                processes.wait_ready(found.start(name, name.partition("-")[0]))
            rates = ("--ratings-per-s", RATINGS_PER_S, "--requests-per-s", REQUESTS_PER_S)
            more = ("--first-ratings", 0, "--bad-per-s", bad_per_s, "--seed", 1)
            with streaming(settings, *rates, *more) as stream:
                yield replace(found, stream=stream, ready_at=time.time())


@contextmanager
def prometheus(folder, ports, own, *, rules=RULES, scrape_s=2):
    """Run Prometheus with the rules of this repository and a week of history; yield it.

    Args:
        folder: for its files.
        ports: by name: what to scrape, and its own.
        own: the name of its own port.
        rules: folder of the rules.
        scrape_s: seconds between two scrapes of a role.
    """
    folder.mkdir(exist_ok=True)
    data = folder / "prometheus"
    backfill(folder, data, time.time())
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": f"{scrape_s}s", "evaluation_interval": "2s"}
    config["rule_files"] = [str(rules / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        targets = [f"127.0.0.1:{port}" for name, port in ports.items() if name.startswith(job["job_name"])]
        job["static_configs"] = [{"targets": targets}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{ports[own]}"
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
    try:
        eventually(lambda: _answers(f"http://{address}/-/ready"), 60)
        yield Prometheus(f"http://{address}")
    finally:
        stop(process)


FACTOR = 30


def quick_rules(folder):
    """Write the rules with all durations divided by ``FACTOR``; return their folder."""
    folder.mkdir(exist_ok=True)
    for name in ("recording.yml", "alerts.yml"):
        text = (RULES / name).read_text()
        text = re.sub(
            r"(?<=for: )(\d+)([mhd])|(?<=\[)(\d+)([mhd])(?=\])|(?<=offset )(\d+)([mhd])", _quicker, text
        )
        (folder / name).write_text(text)
    return folder


def _quicker(found):
    number, unit = (one for one in found.groups() if one)
    return f"{int(number) * {'m': 60, 'h': 3600, 'd': DAY_S}[unit] // FACTOR}s"


def backfill(folder, data, now):
    """Write the week before as blocks of Prometheus."""
    text = folder / "history.txt"
    with text.open("w") as file:
        for name, value in HISTORY.items():
            file.write(f"# TYPE {name} gauge\n")
            for at in range(int(now) - 8 * DAY_S, int(now) - 3600, HISTORY_STEP_S):
                file.write(f'{name}{{prefix="{PREFIX}"}} {value} {at}\n')
        file.write("# EOF\n")
    run("promtool", "tsdb", "create-blocks-from", "openmetrics", text, data)


def _answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def _environment(settings):
    return outer_environ() | settings.variables() | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}


def _dch(settings, *arguments):
    command = [sys.executable, "-m", "streams", *arguments]
    done = subprocess.run(
        command, env=_environment(settings), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _stream(settings, *arguments):
    command = [sys.executable, str(STREAM), *map(str, arguments)]
    done = subprocess.run(command, env=_environment(settings), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def streaming(settings, *arguments):
    """Run the sample stream with these arguments; yield its process."""
    command = [sys.executable, str(STREAM), *map(str, arguments)]
    process = subprocess.Popen(command, env=_environment(settings), text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def alerts(prometheus, expression="ALERTS"):
    """Return the alerts that fire now or are about to."""
    return {one["metric"]["alertname"] for one in prometheus.value(expression)}


def firing(prometheus):
    """Return the alerts that fire now."""
    return alerts(prometheus, 'ALERTS{alertstate="firing"}')


def write_page(path: Path, lines, head):
    """Write a table as a page."""
    path.write_text(head + "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines))
