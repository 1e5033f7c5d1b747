"""Measure requests on a real Apache Kafka beside a bare echo: idle, and beside ratings or heavy requests.

    python tests/bench/bench_requests.py [--items 3700 100000 1000000] [--requests 200]

Made-up catalogues with features, ranking vectors and items that are not available; default settings. Each
request to the worker is followed by one to a bare echo on the same broker, whose reply is a reply of the
worker: what the worker adds is the difference. Requests are sent one at a time, by the client of
``dch recommend``. While ratings arrive, another process publishes 10,000 a second. Heavy requests are ten a
second, of another process: with as many ids as the default limits allow, or with 10,000, which they refuse.
Each figure is the median of the percentiles of five rounds.
"""

import argparse
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dch"))

import numpy as np
from cases import BESIDE_HEAVY, BESIDE_REFUSED
from made_catalogue import RATERS
from made_service import (
    SIZES,
    feeding,
    made_service,
    n_committed,
    publish_at_once,
    running_worker,
    sending_heavy,
)
from record import record

from streams import topics
from streams.client import RecommendClient
from streams.kafka import Admin
from streams.messages import RecommendRequest, encode_reply
from streams.settings import ClientSettings
from tests.streams.brokers import eventually

HISTORY, PER_S, N_REQUESTS, WARM_UP, ROUNDS = 200_000, 10_000, 200, 50, 5
HEAVY_PER_S, ALLOWED, TOO_MANY = 10, 2_500, 10_000
"""Heavy requests a second; items in their histories: the most that default settings allow, and too many."""


def measure(world, n):
    """Measure, print and record; the worker must be ready."""
    wait_until_idle(world)
    asking = world.settings.as_role(ClientSettings, request_timeout_s=60.0)
    with RecommendClient(asking) as client, bare_echo(world, client) as echo:
        ask_both(client, echo, WARM_UP)
        report(world, "idle", rounds(client, echo, n))
        for n_history, when in ((ALLOWED, BESIDE_HEAVY), (TOO_MANY, BESIDE_REFUSED)):
            with sending_heavy(world, HEAVY_PER_S, n_history):
                ask_both(client, echo, WARM_UP)
                report(world, when, rounds(client, echo, n // 2))
        with feeding(world, PER_S):
            ask_both(client, echo, WARM_UP)
            before, started = n_committed(world), time.perf_counter()
            found = rounds(client, echo, n)
            rate = (n_committed(world) - before) / (time.perf_counter() - started)
            report(world, f"while {PER_S:,} ratings/s arrive", found)
            print(f"{'':12} {rate:,.0f} ratings/s were committed meanwhile")


def wait_until_idle(world):
    """Wait until the worker has published the codes of all items that changed."""
    before, now = -1, 0
    while now != before:
        before, now = now, sum(world.ends("item-codes").values())
        time.sleep(2)


@contextmanager
def bare_echo(world, client):
    """Yield a client of a bare echo, which answers with a reply of the worker."""
    settings = world.settings.replace(prefix=world.settings.prefix + "echo-")
    topics.create(Admin(settings), settings)
    reply, file = client.ask(RecommendRequest(user="u0")), world.folder / "reply"
    file.write_bytes(encode_reply(reply))
    program = Path(__file__).with_name("echo.py")
    command = [sys.executable, program, settings.bootstrap_servers, settings.topic("requests"), file]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "echo\n"
        with RecommendClient(settings.as_role(ClientSettings, request_timeout_s=60.0)) as echo:
            yield echo
    finally:
        process.terminate()
        process.communicate(timeout=30)


USERS = count()


def ask_both(client, echo, n):
    """Ask for the lists of n users, each of the worker and of the echo; return (n, 2) milliseconds."""
    durations = np.empty((n, 2))
    for at in range(n):
        request = RecommendRequest(user=f"u{next(USERS) * 7919 % RATERS}")
        for which, asked in enumerate((client, echo)):
            start = time.perf_counter()
            asked.ask(request)
            durations[at, which] = 1000 * (time.perf_counter() - start)
    return durations


def rounds(client, echo, n):
    """Return the milliseconds of five rounds of n requests, (5, n, 2)."""
    return np.stack([ask_both(client, echo, n) for _ in range(ROUNDS)])


def report(world, when, durations):
    """Print and record the percentiles of both, each the median of those of the rounds."""
    for percentile in (50, 99):
        ours, echo = np.median(np.percentile(durations, percentile, axis=1), axis=0).tolist()
        print(
            f"{world.n_items:>10,} items: request to reply, {when}, p{percentile}: {ours:8.2f} ms, bare echo "
            f"{echo:8.2f} ms, {ours - echo:+.2f} ms, {ours / echo:.2f} x",
            flush=True,
        )
        for name, value in (("", ours), (", bare echo", echo)):
            case = f"request to reply, kafka, {when}, p{percentile}{name}"
            record(case, n=durations.shape[1], items=world.n_items, bits=64, median_ms=value)


def with_history(world, worker):
    """Publish ratings of every user, and wait until the worker has applied them."""
    worker.wait_until_ready()
    publish_at_once(world, HISTORY, seed=1)
    eventually(lambda: n_committed(world) >= HISTORY, 900, every_s=0.2)


def options():
    """Return the sizes and the number of requests that the command line gives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=SIZES, help="sizes of the catalogue")
    parser.add_argument("--requests", type=int, default=N_REQUESTS, help="requests of each measurement")
    return parser.parse_args()


if __name__ == "__main__":
    asked = options()
    for size in asked.items:
        with made_service(size) as service, running_worker(service) as running:
            with_history(service, running)
            measure(service, asked.requests)
