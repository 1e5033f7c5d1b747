"""An observer on a real Apache Kafka counts each list once, whatever ends it."""

import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams import topics
from streams.kafka import Admin, Consumer, Partition, Producer
from streams.kafka.records import Output
from streams.messages import decode_kept
from streams.observer.observer import Observer
from streams.observer.windows import cells
from streams.settings import ObserverSettings
from tests.streams.brokers import ROOT, eventually, free_ports, own_cluster
from tests.streams.observer.oracle import expected_cells, label, window
from tests.streams.observer.served_records import MINUTE_MS, traffic
from tests.streams.world import environ, is_ready, not_ready

pytestmark = [pytest.mark.broker, pytest.mark.real_broker]
N_PARTITIONS = 2


class Log:
    """The topics of an observer, and what is on them."""

    def __init__(self, settings):
        self.settings = settings
        topics.create(Admin(settings), settings)
        self.producer = Producer(settings, linger_ms=0)
        self.watcher = Consumer(settings, group=settings.group_of("observer"), start="earliest")
        self.sent = [[] for _ in range(N_PARTITIONS)]

    def send(self, partitions):
        for number, records in enumerate(partitions):
            self.sent[number] += records
            for record in records:
                self.producer.send(Output(self.settings.topic("served"), record.key, record.value, number))
        self.producer.flush()

    def places(self, name="served"):
        return [Partition(self.settings.topic(name), number) for number in range(N_PARTITIONS)]

    def committed(self):
        return sum(self.watcher.committed(self.places()).values())

    def n_records(self, name):
        return sum(self.watcher.end_offsets(self.places(name)).values())

    def n_kept(self):
        """Return how many lists and ratings the changelog holds, copies included."""
        records = [
            record for number in range(N_PARTITIONS) for record in self.read("observer-changelog", number)
        ]
        return sum(len(decode_kept(record)) for record in records)

    def all_counted(self):
        return self.committed() == sum(map(len, self.sent))

    def restored_cells(self):
        """Return the cells of every partition that an observer would restore from the changelog."""
        found = {}
        for number in range(N_PARTITIONS):
            observer = Observer()
            for record in self.read("observer-changelog", number):
                observer.restore(record)
            names, part = observer._names, observer.partitions[number]
            for (minute, row, generation), sums in cells(part.lists.kept).items():
                of = names.labels[row]
                key = minute, (of.strategy, of.cohort, str(generation), of.arm)
                found[key] = [a + b for a, b in zip(found.get(key, [0] * 11), sums.tolist(), strict=True)]
        return found

    def read(self, name, number):
        place = Partition(self.settings.topic(name), number)
        consumer = Consumer(self.settings, group=self.settings.prefix + "reader", start="earliest", fill_s=0)
        records = []
        try:
            end = consumer.end_offsets([place])[place]
            consumer.assign({place: 0})

            def done():
                records.extend(consumer.poll(0.1))
                return (consumer.position(place) or 0) >= end

            eventually(lambda: not end or done())
        finally:
            consumer.close()
        return records

    def close(self):
        self.producer.close()
        self.watcher.close()
        Admin(self.settings).delete([self.settings.topic(topic.name) for topic in topics.EVERY_TOPIC])


@pytest.fixture
def log(kafka, prefix):
    found = Log(settings_of(kafka, prefix))
    yield found
    found.close()


def settings_of(kafka, prefix):
    return ObserverSettings(
        bootstrap_servers=kafka,
        prefix=prefix,
        partitions=N_PARTITIONS,
        show_interval_s=1,
        metrics_port=free_ports(2),
        linger_ms=0,
    )


@contextmanager
def observer(settings, module="streams", **options):
    """Run ``dch observer`` as a process."""
    command = [sys.executable, "-m", module, "observer"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ(settings), **options)
    process.settings = settings
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            assert process.wait(20) == 0


def shown(port, name="dch_served_window_lists", **labels):
    """Return the sum of the samples of a metric with these label values; -1 if no observer answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return -1
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def expected_windows(partitions):
    """Return the number of lists and of hits within 7 days of each window, by the slow account."""
    cells_ = expected_cells(partitions)
    found = {}
    for name, n_minutes in (("5m", 5), ("1h", 60), ("24h", 1440)):
        lists = window(partitions, n_minutes)
        minutes = {(one.time // MINUTE_MS, label(one)) for one in lists}
        found[name] = len(lists), sum(cells_[key][9] for key in minutes)
    return found


def shown_windows(port):
    return {
        name: (
            shown(port, window=name),
            shown(port, "dch_served_window_hits", window=name, within="7d"),
        )
        for name in ("5m", "1h", "24h")
    }


def test_an_observer_counts_what_is_served_and_bad_records_become_dead_letters(log):
    port = log.settings.metrics_port
    partitions = [traffic(at, 120, step_ms=5 * MINUTE_MS, partition=at) for at in range(N_PARTITIONS)]
    log.send(partitions)
    with observer(log.settings):  # a process of its own: other tests leave their samples in this one
        eventually(lambda: is_ready(port), 60)
        eventually(log.all_counted, 60)
        expected = expected_windows(log.sent)
        eventually(lambda: shown_windows(port) == expected, 60, every_s=0.5)
    n_bad = sum(
        record.value in {b"", b"{}", b'{"kind": "list"}', b"\xff"} for part in partitions for record in part
    )
    assert n_bad > 0
    assert log.n_records("served-dlt") == n_bad
    assert log.restored_cells() == expected_cells(log.sent)
    assert not [
        name for name in Admin(log.settings).partitions() if name.endswith(("-changelog-changelog", "leader"))
    ]


@pytest.mark.prove
def test_a_kill_between_changelog_and_commit_counts_nothing_twice_and_loses_nothing(log):
    whole = [traffic(10 + at, 600, step_ms=MINUTE_MS, partition=at) for at in range(N_PARTITIONS)]
    log.send([records[:300] for records in whole])
    with observer(log.settings, "tests.streams.observer.killed_at_commit") as process:
        eventually(lambda: log.committed() > 0, 120)
        log.send([records[300:] for records in whole])  # at its next commit the process is killed
        assert process.wait(120) == -9
    expected = expected_windows(log.sent)
    n_kept = log.n_kept()
    assert 0 < log.committed() < n_kept
    with observer(log.settings):
        eventually(log.all_counted, 120)
        eventually(lambda: shown_windows(log.settings.metrics_port) == expected, 60, every_s=0.5)
    assert log.n_kept() > n_kept
    assert log.restored_cells() == expected_cells(log.sent)
    with observer(log.settings):  # nothing new: all of it is restored
        eventually(lambda: is_ready(log.settings.metrics_port), 60)
        eventually(lambda: shown_windows(log.settings.metrics_port) == expected, 60, every_s=0.5)
        assert shown(log.settings.metrics_port, "dch_served_lists_total") == 0


@pytest.mark.prove
def test_served_that_was_created_again_is_counted_from_its_beginning(log):
    """The committed offsets are beyond its end. What the changelog holds stays counted."""
    whole = [traffic(30 + at, 400, step_ms=MINUTE_MS, partition=at) for at in range(N_PARTITIONS)]
    log.send([records[:300] for records in whole])
    with observer(log.settings):
        eventually(log.all_counted, 120)
    admin, name = Admin(log.settings), log.settings.topic("served")
    admin.delete([name])
    eventually(lambda: name not in admin.partitions(), 30)
    topics.create(admin, log.settings)
    log.send([records[300:] for records in whole])
    with observer(log.settings):
        eventually(lambda: log.committed() == sum(len(records) - 300 for records in whole), 120)
        expected = expected_windows(whole)
        eventually(lambda: shown_windows(log.settings.metrics_port) == expected, 60, every_s=0.5)


@pytest.mark.prove
def test_two_observers_share_the_partitions_and_one_takes_over_those_of_a_killed_one(log):
    whole = [traffic(20 + at, 400, step_ms=MINUTE_MS, partition=at) for at in range(N_PARTITIONS)]
    log.send([records[:200] for records in whole])
    other = log.settings.replace(metrics_port=free_ports(2))
    with observer(log.settings) as one, observer(other) as two:
        ports = [process.settings.metrics_port for process in (one, two)]
        each = sorted(expected_windows([part])["24h"][0] for part in log.sent)
        eventually(lambda: sorted(shown(port, window="24h") for port in ports) == each, 180, every_s=0.5)
        two.kill()
        two.wait()
        log.send([records[200:] for records in whole])
        expected = expected_windows(log.sent)
        eventually(lambda: shown_windows(ports[0]) == expected, 180, every_s=0.5)
    assert log.restored_cells() == expected_cells(log.sent)


@pytest.mark.prove
def test_an_observer_waits_for_a_killed_broker_and_ends_when_it_is_told_to_or_has_waited_long_enough(
    tmp_path, prefix
):
    with own_cluster(tmp_path / "kafka") as cluster:
        log = Log(settings_of(cluster.address, prefix))
        whole = [traffic(30 + at, 400, step_ms=MINUTE_MS, partition=at) for at in range(N_PARTITIONS)]
        log.send([records[:200] for records in whole])
        port = log.settings.metrics_port
        with observer(log.settings) as process:
            eventually(lambda: shown_windows(port) == expected_windows(log.sent), 120, every_s=0.5)
            cluster.kill()
            eventually(lambda: "broker reachable" in not_ready(port), 60)
            cluster.restart()
            log.send([records[200:] for records in whole])
            eventually(lambda: shown_windows(port) == expected_windows(log.sent), 120, every_s=0.5)
            eventually(lambda: is_ready(port), 60)
            assert log.restored_cells() == expected_cells(log.sent)
            cluster.kill()
            eventually(lambda: "broker reachable" in not_ready(port), 60)
            process.terminate()
            assert process.wait(30) == 0
        impatient = log.settings.replace(broker_patience_s=12)
        with observer(impatient, stderr=subprocess.PIPE, text=True) as process:
            eventually(lambda: "broker reachable" in not_ready(port), 60)
            _, errors = process.communicate(timeout=120)
        assert process.returncode == 1
        assert f"no broker at {cluster.address} answered within 12 s" in errors
