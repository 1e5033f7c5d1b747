"""Measure the time from request to reply through a broker: p50 and p99, idle and while ingesting ratings.

    python tests/bench/bench_requests.py [embedded | kafka]

Requests are sent one at a time by the client of ``dch recommend``. "While ingesting" lasts from a backlog of
ratings on the topic to the commit of the last one: the worker processes full batches all that time.
"""

import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dch"))

import numpy as np
from kafka_setup import data, model_for, world_on
from record import record

from streams.client import RecommendClient
from streams.messages import RecommendRequest
from streams.publish import Pace, publish_ratings
from streams.settings import ClientSettings
from tests.streams.brokers import embedded_broker, eventually, real_broker
from tests.streams.world import worker_process

HISTORY = 50_000
BACKLOG = {"embedded": 100_000, "kafka": 400_000}  # the embedded broker takes fewer than 300,000 records
IDLE_REQUESTS = 1000
CHECK_EVERY = 20
"""Requests between two checks for the last commit."""


@contextmanager
def embedded(folder):
    """Yield the address of the embedded broker."""
    with embedded_broker(folder) as process:
        yield process.address


BROKERS = {"embedded": embedded, "kafka": real_broker}


def main(name):
    """Measure, print, and append to the results."""
    ratings = data("ml-1m")
    users = [ratings.user_ids[row] for row in np.unique(ratings.users[:HISTORY]).tolist()]
    with tempfile.TemporaryDirectory() as folder, BROKERS[name](Path(folder) / "broker") as address:
        world = world_on(address, Path(folder))
        settings = world.settings
        asking = settings.as_role(ClientSettings, request_timeout_s=60.0)
        world.publish(model_for(ratings))
        publish(world, ratings, 0, HISTORY)
        with worker_process(settings, Path(folder) / "worker.log"), RecommendClient(asking) as client:
            eventually(lambda: n_committed(world) >= HISTORY, 120, every_s=0.5)
            request_while(client, users, lambda n: n < 50)
            report(name, "idle", request_while(client, users, lambda n: n < IDLE_REQUESTS))
            end = HISTORY + BACKLOG[name]
            publish(world, ratings, HISTORY, end)
            report(
                name,
                "while ingesting",
                request_while(client, users, lambda n: n % CHECK_EVERY or n_committed(world) < end),
            )


def publish(world, ratings, start, stop):
    """Publish the ratings from start to stop."""
    which = np.zeros(len(ratings), np.bool_)
    which[start:stop] = True
    publish_ratings(ratings.subset(which), world.producer, world.settings, pace=Pace(None))


def n_committed(world):
    """Return the number of ratings that the worker has committed."""
    return sum(world.committed("ratings").values())


def request_while(client, users, condition):
    """Send requests one by one while the condition on their number holds; return each one's milliseconds."""
    durations = []
    while condition(len(durations)):
        start = time.perf_counter()
        client.ask(RecommendRequest(user=users[len(durations) % len(users)]))
        durations.append(1000 * (time.perf_counter() - start))
    return durations


def report(name, when, durations):
    """Print and record the percentiles."""
    p50, p99 = np.percentile(durations, (50, 99)).tolist()
    print(f"{name}, {when}: p50 {p50:.2f} ms, p99 {p99:.2f} ms over {len(durations):,} requests")
    for percentile, value in (("p50", p50), ("p99", p99)):
        record(f"request to reply, {name}, {when}, {percentile}", n=len(durations), bits=64, median_ms=value)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or BROKERS:
        main(chosen)
