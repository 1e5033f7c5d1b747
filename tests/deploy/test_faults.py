"""Each fault makes the alert fire that is meant for it, on real processes with a real Prometheus.

All faults are caused in one run, one after the other; each is mended before the next. The rules are those of
`deploy/prometheus`, with all durations divided by ``FACTOR``. One fault alone: `-k store`. Set PROOF_PAGES to
a folder to write the seconds to `monitoring-faults.md` there.
"""

import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.deploy.live_run import FACTOR, OF_ROLE, alerts, firing, live_run, streaming
from tests.deploy.prometheus_tools import tool
from tests.streams.brokers import eventually, kafka_home, own_cluster

WAIT_S = 900
QUOTA = "consumer_byte_rate=15000"
"""Bytes a second for all consumers of workers together; the stream has several times as many."""

SLOW_CLIENT = {
    "DCH_KAFKA_CLIENT_ID": "slow",
    "DCH_KAFKA_FETCH_MAX_BYTES": "20000",
    "DCH_KAFKA_MESSAGE_MAX_BYTES": "20000",
    "DCH_KAFKA_MAX_PARTITION_FETCH_BYTES": "5000",
}
"""Of workers: the quota is theirs alone. One fetch would else bring all there is, and leave no lag."""

BAD_ALONE = ("--first-ratings", 0, "--ratings-per-s", 0, "--requests-per-s", 0, "--bad-per-s", 2)

HEAD = """# Fault by fault: alert, and seconds to fire

Written by `tests/deploy/test_faults.py` on real processes, with the rules of `deploy/prometheus` and all
their durations divided by {factor}. The seconds are those from the fault until the alert fired, on a busy
machine. The rules that are deployed wait longer: each for at least its `for`, which is 1 to 15 minutes.
Consumers were slow by a quota of the broker; the store was replaced by a file.

The last column has what fired at the moment when the alert did, no later. It leaves out what had fired before
the fault, and HitRateDropped: that compares lists of made-up items with a week that was filled in.

| fault | alert | seconds to fire | alerts that fired besides |
|---|---|---:|---|
"""


@dataclass(frozen=True)
class Fault:
    """What is broken, the alert that is meant for it, and alerts that may fire as well."""

    name: str
    alert: str
    companions: set = field(default_factory=set)


BEHIND = {"LagGrowing", "PartitionStuck", "FreshnessSlow", "NoRatings", "RequestsSlow", "RequestsFailing"}
FAULTS = [
    Fault("bad records", "DeadLettersGrowing"),
    Fault("a worker is killed", "WorkerNotReady", BEHIND),
    Fault("the store is gone", "RefitsRejected"),
    Fault("consumers are slow", "LagGrowing", BEHIND | {"WorkerNotReady", "GenerationsDiffer"}),
    Fault("the broker restarts", "BrokerErrors", BEHIND | {"WorkerNotReady"}),
    Fault("producers are silent", "NoRatings", {"RequestsFailing"}),
]
"""Codes of items come slowly, too, and a swap waits for them: so generations differ."""

ON_MADE_UP_RATINGS = {"HitRateDropped"}
"""It compares with a week that was filled in, and lists of a few hundred made-up items with popular ones."""

RATINGS_ARRIVE = 'sum(rate(dch_events_total{topic="ratings",outcome="applied"}[20s])) > 10'

LASTING = {"RefitsRejected"}
"""Refits are counted over a day."""

ON_A_BUSY_MACHINE = {"FreshnessSlow", "RequestsSlow", "LagGrowing", "MemoryNearLimit"}
pytestmark = [pytest.mark.prove, pytest.mark.real_broker]


@dataclass(frozen=True)
class Live:
    """A run, and the Kafka below it."""

    run: object
    cluster: object
    bad: ExitStack = field(default_factory=ExitStack)
    """Ends the stream of bad records."""

    @contextmanager
    def broken(self, fault):
        """Cause a fault; mend it at the end."""
        self._cause(fault)
        try:
            yield
        finally:
            self._mend(fault)

    def _cause(self, fault):
        if fault == "a worker is killed":
            self.run.kill("worker-2")
        elif fault == "the store is gone":
            self._store.rename(self._store.with_name("away"))
            self._store.touch()  # a folder that is missing would be created
        elif fault == "consumers are slow":
            self._quota("--add-config", QUOTA)
        elif fault == "the broker restarts":
            self.cluster.kill()
        elif fault == "producers are silent":
            self.run.stream.send_signal(signal.SIGSTOP)
        elif fault == "bad records":
            self.bad.enter_context(streaming(self.run.settings, *BAD_ALONE))

    def _mend(self, fault):
        if fault == "a worker is killed":
            self.run.processes.wait_ready(self.run.start("worker-2", "worker"))
        elif fault == "the store is gone":
            self._store.unlink()
            self._store.with_name("away").rename(self._store)
        elif fault == "consumers are slow":
            self._quota("--delete-config", QUOTA.partition("=")[0])
        elif fault == "the broker restarts":
            self.cluster.restart()
        elif fault == "producers are silent":
            self.run.stream.send_signal(signal.SIGCONT)
        elif fault == "bad records":
            self.bad.close()

    @property
    def _store(self):
        return Path(self.run.settings.artifacts)

    def _quota(self, alter, value):
        script = kafka_home() / "bin" / "kafka-configs.sh"
        command = [script, "--bootstrap-server", self.cluster.address, "--alter", alter, value]
        entity = ["--entity-type", "clients", "--entity-name", SLOW_CLIENT["DCH_KAFKA_CLIENT_ID"]]
        subprocess.run([*command, *entity], check=True, timeout=120)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    tool("prometheus")
    tool("promtool")
    folder = tmp_path_factory.mktemp("faults")
    of_role = OF_ROLE | {"worker": OF_ROLE["worker"] | SLOW_CLIENT}
    with (
        own_cluster(folder / "kafka") as cluster,
        live_run(cluster.address, folder, bad_per_s=0, of_role=of_role, has_quick=True) as run,
    ):
        eventually(lambda: run.quick.value(RATINGS_ARRIVE), WAIT_S, 0.5)
        yield Live(run, cluster)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_makes_the_alert_fire_that_is_meant_for_it(live, fault):
    """Nothing else fires than was expected. Once the fault is mended the alert ends, if it is not LASTING."""
    quick = live.run.quick
    eventually(lambda: fault.alert not in alerts(quick), WAIT_S, 0.5)  # the fault before is over
    before = firing(quick)
    with live.broken(fault.name):
        started = time.monotonic()
        eventually(lambda: fault.alert in firing(quick), WAIT_S, 0.5)
        seconds, others = round(time.monotonic() - started), firing(quick) - {fault.alert} - before
        others -= ON_MADE_UP_RATINGS
    if folder := os.environ.get("PROOF_PAGES"):
        note(Path(folder) / "monitoring-faults.md", fault, seconds, others)
    assert others - ON_A_BUSY_MACHINE <= fault.companions
    if fault.alert not in LASTING:
        eventually(lambda: fault.alert not in firing(quick), WAIT_S, 0.5)
    live.run.processes.require_alive()


def note(page, fault, seconds, others):
    """Write the line of a fault to a page; those of other faults stay."""
    line = re.compile(r"\| ([^|]+) \| .* \|")
    known = {found[1]: text for text in _lines(page) if (found := line.fullmatch(text))}
    known[fault.name] = f"| {fault.name} | {fault.alert} | {seconds} | {', '.join(sorted(others)) or '-'} |"
    lines = [known[one.name] for one in FAULTS if one.name in known]
    page.write_text(HEAD.format(factor=FACTOR) + "\n".join(lines) + "\n")


def _lines(page):
    return page.read_text().splitlines() if page.exists() else []
