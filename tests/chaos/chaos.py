"""Run a service through kills, restarts, an unreadable store, a quota and mutated records; then check it all.

    make chaos
    .venv/bin/python -m tests.chaos.chaos --ratings 60000 --kills 4 --mutated 20000

Two workers, a trainer and an observer run on an Apache Kafka of three brokers. While ratings, tombstones and
mutated records are published, workers are killed, brokers are killed and restarted in turn, the artifact
store cannot be read when a new model is published, and consumers are held to a quota. Meanwhile the trainer
refits: one broker is killed while a fit runs, during another fit the store is away and a broker is killed,
and a worker is killed when a refit is published. In the end the codes of all items and of a sample of users
have to equal the library's own fold of the topics with the model in service then, bit for bit, and the
observer has to have committed all of `served`. The tables are in Markdown.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT), str(ROOT / "tests" / "dch")]

from tests.chaos.checks import Checks  # noqa: E402 - the paths come first
from tests.chaos.disturbances import Disturbances  # noqa: E402
from tests.chaos.report import print_tables  # noqa: E402
from tests.chaos.service import Service  # noqa: E402


def main() -> int:
    """Run, print the tables, and return 0 if nothing failed."""
    options = parsed()
    with tempfile.TemporaryDirectory(prefix="dch-chaos-") as name:
        return run(Service(options, Path(name)))


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=300_000)
    parser.add_argument("--kills", type=int, default=20, help="kill -9 of workers")
    parser.add_argument("--mutated", type=int, default=200_000, help="mutated records on all topics")
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--unreadable-s", type=float, default=120, help="seconds without the artifact store")
    parser.add_argument("--quota-s", type=float, default=60, help="seconds under the consumer quota")
    parser.add_argument("--quota-bytes", type=int, default=400_000, help="consumer_byte_rate of the quota")
    parser.add_argument("--pace-s", type=float, default=0.02, help="seconds between 500 ratings")
    parser.add_argument("--refit-ratings", type=int, default=None, help="default: a sixth of --ratings")
    parser.add_argument("--hidden-s", type=float, default=60, help="seconds without the store during a refit")
    parser.add_argument(
        "--forgotten", type=int, default=40, help="users forgotten; half as many items removed"
    )
    parser.add_argument("--skip", nargs="*", default=[], choices=["brokers", "store", "quota", "trainer"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=Path, default=None, help="folder that keeps the logs of the roles")
    return parser.parse_args()


def run(service: Service) -> int:
    """Do everything; return the exit code."""
    disturbances, checks = Disturbances(service), Checks(service)
    try:
        service.prepare()
        disturbances.disturb()
        checks.settle()
        checks.check()
        for kind in ("incomplete", "empty"):
            if n := disturbances.replies[kind]:
                service.failures.append(f"{n} replies were {kind}")
        if service.refits and checks.in_service.generation <= disturbances.foreign_generation:
            service.failures.append("no refit came into service after the model of another process")
    except TimeoutError as error:
        service.failures.append(str(error))
    finally:
        service.stop()
    print_tables(disturbances.rows.values(), counts(service, disturbances, checks), service.failures)
    return 1 if service.failures else 0


def counts(service: Service, disturbances: Disturbances, checks: Checks) -> list[tuple[str, object]]:
    """Return what became of a run, in words and numbers."""
    traffic, replies = service.traffic, disturbances.replies
    outcomes = service.refits.outcomes() if service.refits else Counter()
    return [
        ("ratings published", traffic.n_published),
        ("users forgotten, items removed", f"{len(traffic.forgotten)}, {len(traffic.removed)}"),
        ("fits by outcome", ", ".join(f"{n} {kind}" for kind, n in outcomes.items() if n) or "none"),
        ("generation in service in the end", getattr(checks.in_service, "generation", "none")),
        ("generation that another process announced", disturbances.foreign_generation),
        ("items compared with the fold", checks.n_items),
        ("of these with another code", len(checks.different)),
        ("users compared with the fold", checks.n_users),
        ("of these with another code", checks.n_different_users),
        ("events of `item-ratings` repeated", checks.n_repeated),
        ("bad records", len(checks.bad)),
        ("of these without a dead letter", len(checks.bad - checks.letters.keys())),
        ("dead letters repeated", checks.letters.total() - len(checks.letters)),
        ("replies from complete state", replies["complete"]),
        ("replies from incomplete state, or empty", replies["incomplete"] + replies["empty"]),
        ("records of `served` committed by the observer", checks.n_observed),
        ("failures", len(service.failures)),
    ]


if __name__ == "__main__":
    sys.exit(main())
