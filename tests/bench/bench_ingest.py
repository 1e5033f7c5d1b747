"""Measure one worker on a real Apache Kafka: its start, its memory, ingest, and its end under load.

    python tests/bench/bench_ingest.py [--items 3700 100000 1000000] [--ratings 200000]

Made-up catalogues with features, ranking vectors and items that are not available; default settings, so
positive ratings are tried before they are folded in. All ratings of a round become visible at once; its time
runs until the worker has committed them as `ratings`, and until also the last of `item-ratings`. Medians of
five rounds. A worker is stopped under load five times; three times from 1,000,000 items on, since each start
then takes minutes.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dch"))

from made_service import LONG_S, SIZES, made_service, n_committed, publish_at_once, running_worker
from record import record

from tests.streams.brokers import eventually

ROUNDS, N_RATINGS = 5, 200_000
MANY_ITEMS, STOPS_OF_MANY = 1_000_000, 3


def measure(world, n, meanwhile=lambda: None):
    """Measure, print and record; the world has no ratings yet. ``meanwhile`` is called after ingest."""
    with running_worker(world) as worker:
        show(world, "first start of a worker, until it is ready, s", worker.wait_until_ready())
        eventually(lambda: sum(world.ends("item-codes").values()) >= world.n_items, LONG_S, every_s=0.5)
        seconds = time.perf_counter() - worker.started
        show(world, "first start of a worker, until all item codes are published, s", seconds)
        show(world, "stop of an idle worker, s", worker.terminate()[0])
    with running_worker(world) as worker:
        show(
            world,
            "start of a worker with published item codes, until it is ready, s",
            worker.wait_until_ready(),
        )
        show(world, "memory of a worker, MiB", worker.memory_mib())
        show(world, "memory of a worker, MiB, largest so far", worker.memory_mib("VmHWM"))
        before, rounds = worker.cpu_seconds(), [one_round(world, n, seed) for seed in range(1, ROUNDS + 1)]
        for at, side in enumerate(("record to committed offset", "both sides committed")):
            seconds = statistics.median(found[at] for found in rounds)
            show(world, f"ingest, real Kafka, {side}, ms", 1000 * seconds, n=n)
            print(f"{'':12} that is {n / seconds:,.0f} ratings/s")
        cpu = (worker.cpu_seconds() - before) / ROUNDS / n
        print(f"{'':12} {1e6 * cpu:.1f} us of processor time a rating, all threads")
        show(world, "memory of a worker, MiB, after ingest", worker.memory_mib())
        meanwhile()
        stops = [stop_under_load(world, worker, n // 2, ROUNDS + 1)]
    for seed in range(2, 1 + (ROUNDS if world.n_items < MANY_ITEMS else STOPS_OF_MANY)):
        with running_worker(world) as worker:
            worker.wait_until_ready()
            stops.append(stop_under_load(world, worker, n // 2, ROUNDS + seed))
    show(world, "stop of a worker under load, s", statistics.median(stops))
    print(f"{'':12} each: {', '.join(f'{seconds:.2f}' for seconds in stops)}")


def one_round(world, n, seed):
    """Return the seconds until the user side is committed, and until both sides are committed."""
    goal = n_committed(world) + n
    publish_at_once(world, n, seed)
    started = time.perf_counter()
    eventually(lambda: n_committed(world) >= goal, LONG_S, every_s=0.02)
    seconds, end = time.perf_counter() - started, sum(world.ends("item-ratings").values())
    eventually(lambda: n_committed(world, "item-ratings") >= end, LONG_S, every_s=0.02)
    return seconds, time.perf_counter() - started


def stop_under_load(world, worker, n, seed):
    """Stop the worker while it applies a backlog; return how long that takes, and show what was committed."""
    before = n_committed(world)
    publish_at_once(world, n, seed)
    eventually(lambda: n_committed(world) > before + n // 10, LONG_S, every_s=0.02)
    seconds, code = worker.terminate()
    done = n_committed(world) - before
    print(f"{'':12} stopped in {seconds:.2f} s, exit code {code}; {done:,} of {n:,} ratings committed")
    assert code == 0, worker.log.read_text()
    return seconds


def show(world, case, value, *, n=0):
    """Print and record one figure."""
    print(f"{world.n_items:>10,} items: {case:68} {value:10.2f}", flush=True)
    record(case, n=n or world.n_items, items=world.n_items, bits=64, median_ms=value)


def options():
    """Return the sizes and the number of ratings that the command line gives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=SIZES, help="sizes of the catalogue")
    parser.add_argument("--ratings", type=int, default=N_RATINGS, help="ratings of a round")
    return parser.parse_args()


if __name__ == "__main__":
    asked = options()
    for size in asked.items:
        with made_service(size) as service:
            measure(service, asked.ratings)
