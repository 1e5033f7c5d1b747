"""Ingest: ratings on a topic of a real Apache Kafka, read, applied, re-keyed and committed by one worker.

    python tests/bench/bench_ingest.py [ratings]

From the moment when the worker has its partitions to the moment when the offset of the last rating is
committed. Prequential trials are on, as by default: every positive rating is looked up before it is learned.
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
from record import record
from stand import data, model_for, start_worker, world_on

from streams.kafka import Consumer, Partition
from streams.publish import Pace, publish_ratings
from tests.streams.brokers import eventually, real_broker

N = 500_000


def main(n=N):
    """Measure, print, and append to the results."""
    ratings = data("ml-1m")
    part = ratings.subset(np.arange(len(ratings)) < n)
    with tempfile.TemporaryDirectory() as folder, real_broker(Path(folder) / "kafka") as address:
        world = world_on(address, Path(folder))
        publish_ratings(part, world.producer, world.settings, pace=Pace(None))
        world.publish(model_for(ratings))
        seconds, item_seconds = measure(world, len(part))
    for what, taken in (("user side", seconds), ("both sides", item_seconds)):
        print(f"{len(part):,} ratings, {what}: {taken:.2f} s to the last commit, {len(part) / taken:,.0f}/s")
    record("ingest, real Kafka, record to committed offset", n=len(part), bits=64, median_ms=1000 * seconds)
    record("ingest, real Kafka, both sides committed", n=len(part), bits=64, median_ms=1000 * item_seconds)


def measure(world, n):
    """Return the seconds until the user side is committed, and until both sides are."""
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
        print(f"the worker took {cpu_seconds(worker.pid):.1f} s of processor time, its start included")
        return seconds, item_seconds


def cpu_seconds(pid):
    """Return the processor time that a process has taken so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else N)
