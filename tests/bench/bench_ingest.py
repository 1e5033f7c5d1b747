"""Measure ingest: one worker reads, applies, re-keys and commits ratings from a topic of a real Apache Kafka.

    python tests/bench/bench_ingest.py [number of ratings]

The time runs from the assignment of the partitions to the commit of the last rating's offset. Prequential
trials are on, as by default: every positive rating is tested before it is folded in.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dch"))

import numpy as np
from kafka_setup import data, model_for, start_worker, world_on
from record import record

from streams.kafka import Consumer, Partition
from streams.publish import Pace, publish_ratings
from tests.streams.brokers import eventually, real_broker

N_RATINGS = 500_000


def main(n=N_RATINGS):
    """Measure, print, and append to the results."""
    ratings = data("ml-1m")
    part = ratings.subset(np.arange(len(ratings)) < n)
    with tempfile.TemporaryDirectory() as folder, real_broker(Path(folder) / "kafka") as address:
        world = world_on(address, Path(folder))
        publish_ratings(part, world.producer, world.settings, pace=Pace(None))
        world.publish(model_for(ratings))
        seconds, item_seconds = measure(world, len(part))
    for side, duration in (("user side", seconds), ("both sides", item_seconds)):
        per_s = len(part) / duration
        print(f"{len(part):,} ratings, {side}: {duration:.2f} s to the last commit, {per_s:,.0f}/s")
    record("ingest, real Kafka, record to committed offset", n=len(part), bits=64, median_ms=1000 * seconds)
    record("ingest, real Kafka, both sides committed", n=len(part), bits=64, median_ms=1000 * item_seconds)


def measure(world, n):
    """Return the seconds until the user side is committed, and until both sides are committed."""
    settings = world.settings
    partitions = range(settings.partitions)
    watcher = Consumer(settings, group=settings.group_of("worker"), start="earliest")

    def committed(name):
        return sum(watcher.committed(Partition(world.topic(name), number) for number in partitions).values())

    with start_worker(settings) as worker:
        while "partitions assigned" not in worker.stderr.readline():
            pass
        started = time.perf_counter()
        eventually(lambda: committed("ratings") >= n, 300, every_s=0.05)
        seconds = time.perf_counter() - started
        eventually(lambda: committed("item-ratings") >= n, 300, every_s=0.05)
        item_seconds = time.perf_counter() - started
        print(f"the worker used {cpu_seconds(worker.pid):.1f} s of processor time, including its start")
        return seconds, item_seconds


def cpu_seconds(pid):
    """Return the processor time that a process has used so far, user and system, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else N_RATINGS)
