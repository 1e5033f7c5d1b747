"""Request to reply through a broker, one request at a time: p50 and p99, idle and while ratings are ingested.

    python tests/bench/bench_requests.py [embedded | kafka]

The asker is that of ``dch recommend``. "While ingesting" is from when a heap of ratings lies on the
topic until the worker has committed the last of them: all that time it works in full batches.
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
from record import record
from stand import data, model_for, world_on

from streams.client import RecommendClient
from streams.messages import RecommendRequest
from streams.publish import Pace, publish_ratings
from streams.settings import ClientSettings
from tests.streams.brokers import embedded_broker, eventually, real_broker
from tests.streams.world import worker_process

HISTORY = 50_000
LIVE = {"embedded": 100_000, "kafka": 400_000}  # the embedded broker is for less than 300,000 records
IDLE_N = 1000
LOOK_EVERY = 20


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
    with tempfile.TemporaryDirectory() as text, BROKERS[name](Path(text) / "broker") as address:
        world = world_on(address, Path(text))
        settings = world.settings
        world.publish(model_for(ratings))
        publish(world, ratings, 0, HISTORY)
        with (
            worker_process(settings, Path(text) / "worker.log"),
            RecommendClient(settings.as_role(ClientSettings, request_timeout_s=60.0)) as asker,
        ):
            eventually(lambda: n_committed(world) >= HISTORY, 120, every_s=0.5)
            ask_on(asker, users, lambda n: n < 50)
            report(name, "idle", ask_on(asker, users, lambda n: n < IDLE_N))
            end = HISTORY + LIVE[name]
            publish(world, ratings, HISTORY, end)
            report(
                name,
                "while ingesting",
                ask_on(asker, users, lambda n: n % LOOK_EVERY or n_committed(world) < end),
            )


def publish(world, ratings, start, stop):
    """Publish some of the ratings."""
    which = np.zeros(len(ratings), np.bool_)
    which[start:stop] = True
    publish_ratings(ratings.subset(which), world.producer, world.settings, pace=Pace(None))


def n_committed(world):
    """Return how many ratings were committed."""
    return sum(world.committed("ratings").values())


def ask_on(asker, users, more):
    """Ask for one user after the other; return the milliseconds of each."""
    taken = []
    while more(len(taken)):
        start = time.perf_counter()
        asker.ask(RecommendRequest(user=users[len(taken) % len(users)]))
        taken.append(1000 * (time.perf_counter() - start))
    return taken


def report(name, when, taken):
    """Print and record the percentiles."""
    p50, p99 = np.percentile(taken, (50, 99)).tolist()
    print(f"{name}, {when}: p50 {p50:.2f} ms, p99 {p99:.2f} ms over {len(taken):,} requests")
    for percentile, value in (("p50", p50), ("p99", p99)):
        record(f"request to reply, {name}, {when}, {percentile}", n=len(taken), bits=64, median_ms=value)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or BROKERS:
        main(chosen)
