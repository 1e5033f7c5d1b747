"""Measure the observer: one `dch observer` reads a topic `served` of a real Apache Kafka.

    python tests/bench/bench_observer.py [number of records]

Half of the records are lists of 20 items, half are ratings; 2,000 users, 3,700 items. The time runs from
the first committed record to the last one; all of them are then in the changelog, too. A bare consumer of
confluent-kafka reads the same records before and after: the machine is noisy, a ratio is less so.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dch"))

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import TopicPartition
from record import record

from streams import topics
from streams.kafka import Admin, Consumer, Partition, Producer
from streams.kafka.records import Output
from streams.messages import encode_served
from streams.messages.served import USER_COHORTS
from streams.observer.joins import JoinedLists, Names
from streams.settings import ObserverSettings
from tests.streams.brokers import ROOT, eventually, free_ports, real_broker
from tests.streams.observer.served_records import a_list, a_rating
from tests.streams.world import environ

N_RECORDS = 60_000
N_ITEMS, N_USERS, STEP_MS = 3_700, 2_000, 400


def main(n=N_RECORDS):
    """Measure, print, and append to the results."""
    made = [served(random.Random(at), at) for at in range(n)]
    alone = measure_alone(made)
    with tempfile.TemporaryDirectory() as folder, real_broker(Path(folder) / "kafka") as address:
        settings = ObserverSettings(
            bootstrap_servers=address,
            prefix=f"bench-{uuid.uuid4().hex[:8]}-",
            metrics_port=free_ports(2),
        )
        topics.create(Admin(settings), settings)
        publish(settings, made)
        before = measure_bare(settings, n)
        seconds, cpu = measure(settings, n)
        bare = (before + measure_bare(settings, n)) / 2
    print(
        f"{n:,} records: {seconds:.2f} s, {n / seconds:,.0f}/s; {cpu:.1f} s of processor time with the start"
    )
    print(f"a bare consumer: {n / bare:,.0f}/s, {seconds / bare:.0f} times the rate of the observer")
    print(f"the joins alone, without Kafka: {n / alone:,.0f}/s")
    record("observer, real Kafka, served to committed offset", n=n, bits=0, median_ms=1000 * seconds)
    record("observer, a bare consumer of the same records", n=n, bits=0, median_ms=1000 * bare)
    record("observer, joins alone", n=n, bits=0, median_ms=1000 * alone)


def served(dice, at):
    """Return the n-th record: a list or a rating."""
    user, items = (
        f"user-{dice.randrange(N_USERS)}",
        [f"item-{one}" for one in dice.sample(range(N_ITEMS), 20)],
    )
    if at % 2:
        return a_rating(user, at * STEP_MS, items[0], offset=at)
    return a_list(user, at * STEP_MS, items, offset=at, catalogue=N_ITEMS, cohort=dice.choice(USER_COHORTS))


def measure_alone(made):
    """Return the seconds that the joins take, without decoding."""
    found, started = JoinedLists(Names()), time.perf_counter()
    for one in made:
        found.apply(one)
    return time.perf_counter() - started


def publish(settings, made):
    """Write the records to `served`; each user in one partition."""
    producer = Producer(settings)
    for one in made:
        producer.send(Output(settings.topic("served"), one.user.encode(), encode_served(one)))
    producer.flush()
    producer.close()


def measure_bare(settings, n):
    """Return the seconds in which a consumer of confluent-kafka reads all records, from the first one on."""
    consumer = ConfluentConsumer(
        {"bootstrap.servers": settings.bootstrap_servers, "group.id": f"{settings.prefix}bare"}
    )
    topic, found, started = settings.topic("served"), 0, None
    consumer.assign([TopicPartition(topic, number, 0) for number in range(settings.partitions)])
    while found < n:
        found += len(consumer.consume(1000, 1.0))
        started = started or (time.perf_counter() if found else None)
    seconds = time.perf_counter() - started
    consumer.close()
    return seconds


def measure(settings, n):
    """Return the seconds from the first commit to the last, and the processor time of the observer."""
    places = [Partition(settings.topic("served"), number) for number in range(settings.partitions)]
    watcher = Consumer(settings, group=settings.group_of("observer"), start="earliest")

    def committed():
        return sum(watcher.committed(places).values())

    with start_observer(settings) as process:
        eventually(committed, 60, every_s=0.02)
        begun, started = committed(), time.perf_counter()
        eventually(lambda: committed() >= n, 300, every_s=0.05)
        return (time.perf_counter() - started) * n / (n - begun), cpu_seconds(process.pid)


def cpu_seconds(pid):
    """Return the processor time that a process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def start_observer(settings):
    """Run ``dch observer`` as a process, and stop it at the end."""
    command = [sys.executable, "-m", "streams", "observer"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ(settings))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else N_RECORDS)
