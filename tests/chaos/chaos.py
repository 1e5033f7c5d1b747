"""Run a service through kills, restarts, an unreadable store, a quota and mutated records; then check it all.

    make chaos
    .venv/bin/python -m tests.chaos.chaos --ratings 20000 --kills 3 --mutated 5000

Two workers, a trainer and an observer run on an Apache Kafka of three brokers. While ratings and mutated
records are published, workers are killed, brokers are killed and restarted in turn, the artifact store
cannot be read when a new model is published, and consumers are held to a quota. In the end the codes of all
items and of a sample of users have to equal the library's own fold of the topics, bit for bit, and the
observer has to have committed all of `served`. The tables are in Markdown.
"""

import argparse
import contextlib
import math
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT), str(ROOT / "tests" / "dch")]

import numpy as np  # noqa: E402 - the paths come first
from random_models import random_model  # noqa: E402

from streams import topics  # noqa: E402
from streams.client import RecommendClient  # noqa: E402
from streams.errors import BadRecord, StreamError  # noqa: E402
from streams.kafka import Consumer, Partition, Producer  # noqa: E402
from streams.kafka.records import Output, Record  # noqa: E402
from streams.messages import (  # noqa: E402
    RatingEvent,
    RecommendReply,
    RecommendRequest,
    RequestLimits,
    decode_item_code,
    decode_item_rating,
    encode_rating,
)
from streams.settings import ClientSettings, WorkerSettings  # noqa: E402
from tests.chaos.mutations import mutated  # noqa: E402
from tests.chaos.oracle import Fold, is_bad, original_position  # noqa: E402
from tests.chaos.processes import Cluster, Log, Role  # noqa: E402
from tests.streams.brokers import free_ports  # noqa: E402
from tests.streams.world import World, is_ready  # noqa: E402

N_WORKERS, N_BROKERS = 2, 3
N_ASKED = 300
PATIENCE_S = 900
"""How long anything may take before the run counts as failed."""


def main() -> int:
    """Run, print the table, and return 0 if nothing failed."""
    options = parsed()
    with tempfile.TemporaryDirectory(prefix="dch-chaos-") as name:
        return Chaos(options, Path(name)).run()


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
    parser.add_argument("--skip", nargs="*", default=[], choices=["brokers", "store", "quota", "trainer"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=Path, default=None, help="folder that keeps the logs of the roles")
    return parser.parse_args()


@dataclass
class Row:
    """One line of the table: what was done, how often, and the seconds to recover each time."""

    what: str
    times: int = 0
    seconds: list[float] = field(default_factory=list)


class Chaos:
    """One run."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.rng = np.random.default_rng(options.seed)
        self.rows = {
            what: Row(what)
            for what in (
                "worker killed",
                "broker killed",
                "store unreadable",
                "consumer quota",
                "mutated records",
            )
        }
        self.failures: list[str] = []
        self.logs: dict[str, Log] = {}
        self.n_allowed: float = math.inf  # ratings that may be published now
        self.n_published = self.n_items = self.n_users = self.n_different_users = self.n_observed = 0
        self.replies: Counter[str] = Counter()

    def run(self) -> int:
        """Do everything; return the exit code."""
        n_brokers = 1 if "brokers" in self.options.skip else N_BROKERS
        self.say(f"starting brokers: {n_brokers}")
        self.cluster = Cluster(self.folder / "kafka", n_brokers)
        try:
            self.prepare()
            self.disturb()
            self.settle()
            self.check()
        except TimeoutError as error:
            self.failures.append(str(error))
        finally:
            for role in getattr(self, "roles", []):
                role.process.kill()
            self.cluster.call("stop")
        self.print_table()
        return 1 if self.failures else 0

    def prepare(self) -> None:
        """Create topics, publish the first model and the first ratings, and start the roles."""
        settings = WorkerSettings(
            bootstrap_servers=self.cluster.address,
            prefix="chaos-",
            partitions=4,
            artifacts=str(self.folder / "store"),
            encode_interval_s=0.5,
            broker_timeout_s=120,
        )
        self.world = World(settings, self.folder)
        self.settings = settings
        self.world.publish(self.model(1))
        logs = self.options.logs or self.folder
        logs.mkdir(parents=True, exist_ok=True)
        self.roles = [
            Role(f"worker-{at}", settings.replace(metrics_port=free_ports(2)), logs)
            for at in range(N_WORKERS)
        ]
        if "trainer" not in self.options.skip:
            self.roles.append(Role("trainer", trainer_settings(settings), logs))
        self.roles.append(Role("observer", observer_settings(settings), logs))
        events = self.events()
        self.base, self.stream = events[: len(events) // 20], events[len(events) // 20 :]
        self.publish(self.base)
        self.wait("workers are ready", self.are_ready)
        self.wait("the first ratings are applied", self.is_applied)

    def model(self, generation: int):
        return random_model(
            bits=64,
            hidden=64,
            n_users=self.options.users,
            n_items=self.options.items,
            generation=generation,
            seed=generation,
        )

    def events(self) -> list[RatingEvent]:
        """Return the ratings: skewed users and items; one in fifty is a withdrawal, but of no asked user."""
        n = self.options.ratings
        users = (self.options.users * self.rng.random(n) ** 2).astype(int).tolist()
        items = (self.options.items * self.rng.random(n) ** 2).astype(int).tolist()
        values = self.rng.integers(1, 6, n).tolist()
        gone = (self.rng.random(n) < 0.02).tolist()
        asked = set(range(N_ASKED))
        return [
            RatingEvent(
                f"u{user}",
                f"i{item}",
                None if is_gone and user not in asked else float(value),
                1_700_000_000_000 + at // 3,
            )
            for at, (user, item, value, is_gone) in enumerate(zip(users, items, values, gone, strict=True))
        ]

    def publish(self, events, *, pace_s: float = 0.0) -> None:
        """Publish ratings up to ``n_allowed``, one in five misrouted; every 500 are acknowledged."""
        producer = Producer(self.settings)
        for at, event in enumerate(events):
            key = event.user.encode()
            owner = self.world.owner_of(event.user)
            partition = (owner + 1) % self.settings.partitions if at % 5 == 0 else owner
            producer.send(Output(self.world.topic("ratings"), key, encode_rating(event), partition))
            self.n_published += 1
            if at % 500 == 499:
                producer.flush()
                time.sleep(pace_s)
                while self.n_published > self.n_allowed:
                    time.sleep(0.1)
        producer.flush()
        producer.close()

    def publish_mutated(self) -> None:
        compressed = {"message.max.bytes": "8000000", "compression.type": "gzip"}
        producer = Producer(self.settings.replace(kafka=compressed))
        for at, output in enumerate(mutated(self.settings, self.options.mutated, self.options.seed)):
            producer.send(output)
            if at % 1000 == 999:
                producer.flush()
        producer.flush()
        producer.close()
        self.rows["mutated records"].times = self.options.mutated

    def disturb(self) -> None:
        """Publish the stream and the mutated records, and break things meanwhile."""
        stop, self.n_allowed = threading.Event(), len(self.base)
        with ThreadPoolExecutor(4) as pool:
            jobs = [
                pool.submit(self.publish, self.stream, pace_s=self.options.pace_s),
                pool.submit(self.publish_mutated),
                pool.submit(self.watch, stop),
                pool.submit(self.ask, stop),
            ]
            self.publishers = jobs[:2]
            try:
                self.break_things()
                self.n_allowed = math.inf
                for job in jobs[:2]:
                    job.result()
            finally:
                self.n_allowed = math.inf
                stop.set()
            for job in jobs[2:]:
                job.result()

    def break_things(self) -> None:
        """Kill workers, with the other disturbances in between; each has an equal part of the stream."""
        kills, others = self.options.kills, self.others()
        self.part = len(self.stream) / (kills + len(others))
        for at in range(kills):
            self.recover("worker killed", self.roles[at % N_WORKERS].kill)
            while others and (at + 1) / kills >= others[0][0]:
                others.pop(0)[1]()

    def others(self):
        """Return the other disturbances, each with the share of the kills after which it comes."""
        found = [(0.2 + 0.1 * at, lambda at=at: self.kill_broker(at + 1)) for at in range(N_BROKERS)]
        found = [] if "brokers" in self.options.skip else found
        found += [] if "store" in self.options.skip else [(0.6, self.hide_store)]
        found += [] if "quota" in self.options.skip else [(0.8, self.impose_quota)]
        return found

    def kill_broker(self, number: int) -> None:
        def kill() -> None:
            self.cluster.call("kill", str(number))
            time.sleep(10)  # a broker that is away for 10 s is what is tried, not a condition
            self.cluster.insist("start")

        self.recover("broker killed", kill)

    def hide_store(self) -> None:
        """Publish the next model, hide the store before workers can read it, and kill one of them."""
        store, hidden = self.folder / "store", self.folder / "hidden"

        def hide() -> None:
            self.world.publish(self.model(2))
            store.rename(hidden)
            self.roles[0].kill()
            time.sleep(self.options.unreadable_s)  # as above
            hidden.rename(store)

        self.recover("store unreadable", hide)

    def impose_quota(self) -> None:
        def impose() -> None:
            self.cluster.quota("--add-config", f"consumer_byte_rate={self.options.quota_bytes}")
            self.roles[1].kill()
            time.sleep(self.options.quota_s)  # as above
            self.cluster.quota("--delete-config", "consumer_byte_rate")

        self.recover("consumer quota", impose)

    def recover(self, what: str, disturbance) -> None:
        """Do something, and measure how long the workers then take until all of them are ready."""
        self.say(what)
        for job in self.publishers:
            if job.done():
                job.result()  # raises the error of a publisher that failed
        self.n_allowed += self.part
        disturbance()
        started = time.monotonic()
        self.wait(f"ready after: {what}", self.are_ready)
        row = self.rows[what]
        row.times += 1
        row.seconds.append(time.monotonic() - started)

    def watch(self, stop: threading.Event) -> None:
        """Note each role that ended, but not by a kill, and start it again."""
        while not stop.wait(0.2):
            for role in self.roles:
                process = role.process
                if process.poll() not in (None, -9):
                    tail = "".join(role.log.read_text().splitlines(keepends=True)[-3:])
                    self.failures.append(f"{role.name} ended with {process.returncode}: {tail}")
                    role.start()

    def ask(self, stop: threading.Event) -> None:
        """Ask for users all of whose first ratings were applied, and check that each reply rests on them."""
        known = Counter(user for user, _ in {(event.user, event.item) for event in self.base})
        asked = [f"u{at}" for at in range(N_ASKED) if known[f"u{at}"]]
        while not stop.is_set():
            with contextlib.suppress(StreamError):
                self.ask_until_error(stop, asked, known)

    def ask_until_error(self, stop: threading.Event, asked: list[str], known: Counter[str]) -> None:
        with RecommendClient(self.settings.as_role(ClientSettings, request_timeout_s=30)) as client:
            while not stop.wait(0.05):
                user = asked[self.replies.total() % len(asked)]
                reply = client.ask(RecommendRequest(user=user, k=10, include_rated=True))
                kind = "error"
                if isinstance(reply, RecommendReply):
                    kind = "complete" if (reply.ratings or 0) >= known[user] else "incomplete"
                    kind = "empty" if not reply.items else kind
                self.replies[kind] += 1

    def are_ready(self) -> bool:
        return all(is_ready(role.settings.metrics_port) for role in self.roles[:N_WORKERS])

    def read_all(self, name: str) -> list[Record]:
        """Return every record that a topic holds now."""
        if name not in self.logs:
            self.logs[name] = Log(self.settings, name)
        return self.logs[name].records()

    def is_applied(self) -> bool:
        """Return whether the workers have committed everything that is on their topics."""
        return all(
            self.world.committed(name) == self.world.ends(name)
            for name in ("ratings", "users", "item-ratings")
        )

    def settle(self) -> None:
        """Wait until everything is applied and published, and the last model is in service."""
        self.wait("all workers are ready", self.are_ready)
        self.wait("everything is applied", self.is_applied)
        model = self.model(1 if "store" in self.options.skip else 2)
        logs = self.read_all("users"), self.read_all("ratings")
        self.expected = Fold(model, *logs, self.world.owner_of)
        self.wait("the codes of all items are those of the fold", self.items_are_equal)

    def items_are_equal(self) -> bool:
        found = dict(self.item_codes())
        expected = self.expected.item_codes()
        self.n_items = len(expected)
        self.different = {id_ for id_ in expected if found.get(id_) != expected[id_]}
        return not self.different

    def item_codes(self):
        """Yield each real item with its newest generation, code and number of positive ratings."""
        for record in self.read_all("item-codes"):
            with contextlib.suppress(BadRecord):
                id_, code = decode_item_code(record)
                yield id_, code and (code.generation, code.code, code.positives)

    def check(self) -> None:
        """Compare users with the fold, and dead letters with the bad records."""
        client = RecommendClient(self.settings.as_role(ClientSettings, request_timeout_s=60))
        sample = self.rng.choice(self.options.users, min(300, self.options.users), replace=False)
        for user in (f"u{at}" for at in sample.tolist()):
            expected = self.expected.recommender.user_code(user)
            reply = client.ask(RecommendRequest(user=user, k=1))
            self.n_users += 1
            if reply.code != (expected and expected.hex()):
                self.n_different_users += 1
                self.failures.append(
                    f"user {user} has code {reply.code}, expected {expected and expected.hex()}"
                )
        client.close()
        self.compare_letters()
        self.count_repeated()
        self.await_observer()
        for kind in ("incomplete", "empty"):
            if self.replies[kind]:
                self.failures.append(f"{self.replies[kind]} replies were {kind}")
        for role in self.roles:
            if (code := role.end()) != 0:
                self.failures.append(f"{role.name} stopped with {code}")

    def await_observer(self) -> None:
        """Wait until the observer has committed all of `served`: one that hangs would end like any other."""
        watcher = Consumer(self.settings, group=self.settings.group_of("observer"), start="earliest")
        places = [Partition(self.world.topic("served"), at) for at in range(self.settings.partitions)]
        self.wait(
            "the observer has committed all of `served`",
            lambda: watcher.committed(places) == watcher.end_offsets(places),
        )
        self.n_observed = sum(watcher.committed(places).values())
        watcher.close()

    def compare_letters(self) -> None:
        """Each bad record gets a dead letter, those of the global tables about once a second."""
        try:
            self.wait("each bad record has a dead letter", self.letters_are_complete, 120)
        except TimeoutError:
            lost = self.bad - self.letters.keys()
            self.failures.append(f"{len(lost)} bad records without a dead letter, such as {sorted(lost)[:3]}")

    def letters_are_complete(self) -> bool:
        self.letters, self.bad = Counter(), set()
        limits = RequestLimits(
            self.settings.max_request_bytes, self.settings.max_request_ids, self.settings.max_k
        )
        for topic in topics.TOPICS:
            if topic.has_dead_letters and topic is not topics.SERVED:  # workers do not read it
                records = self.read_all(topic.name)
                self.bad |= {record.position for record in records if is_bad(topic.name, record, limits)}
                letters = self.read_all(topic.name + topics.DEAD_LETTER_SUFFIX)
                self.letters.update(map(original_position, letters))
        return self.bad <= self.letters.keys()

    def count_repeated(self) -> None:
        """Count repeated events of `item-ratings`; the item codes show that none is missing."""
        records = [one for one in self.read_all("item-ratings") if one.position not in self.bad]
        parts = [decode_item_rating(record).as_tuple() for record in records]
        values = Counter(event for columns in parts for event in zip(*columns, strict=True))
        self.n_repeated = sum(values.values()) - len(values)

    def print_table(self) -> None:
        """Print what was done as Markdown."""
        print(
            "\n| what was done | times | seconds until all workers were ready (median, longest) |"
            "\n|---|---:|---|"
        )
        for row in self.rows.values():
            if row.times:
                seconds = f"{np.median(row.seconds):.1f}, {max(row.seconds):.1f}" if row.seconds else "-"
                print(f"| {row.what} | {row.times:,} | {seconds} |")
        letters = getattr(self, "letters", Counter())
        print("\n| what became of it | count |\n|---|---:|")
        for what, count in (
            ("ratings published", self.n_published),
            ("items compared with the fold", self.n_items),
            ("of these with another code", len(getattr(self, "different", ()))),
            ("users compared with the fold", self.n_users),
            ("of these with another code", self.n_different_users),
            ("events of `item-ratings` repeated", getattr(self, "n_repeated", 0)),
            ("bad records", len(getattr(self, "bad", ()))),
            ("of these without a dead letter", len(getattr(self, "bad", set()) - letters.keys())),
            ("dead letters repeated", letters.total() - len(letters)),
            ("replies from complete state", self.replies["complete"]),
            ("replies from incomplete state, or empty", self.replies["incomplete"] + self.replies["empty"]),
            ("records of `served` committed by the observer", self.n_observed),
            ("failures", len(self.failures)),
        ):
            print(f"| {what} | {count:,} |")
        for failure in self.failures:
            print(f"FAILED: {failure}", file=sys.stderr)

    def wait(self, what: str, condition, within_s: float = PATIENCE_S) -> None:
        """Wait for a condition."""
        end = time.monotonic() + within_s
        while True:
            with contextlib.suppress(StreamError):
                if condition():
                    return
            if time.monotonic() > end:
                raise TimeoutError(f"not within {within_s:g} s: {what}; failures so far: {self.failures}")
            time.sleep(0.2)

    def say(self, what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {self.n_published:>8,} {what}", file=sys.stderr, flush=True)


def trainer_settings(settings: WorkerSettings):
    from streams.settings import TrainerSettings

    return settings.as_role(TrainerSettings, refit_ratings=0, metrics_port=free_ports(2))


def observer_settings(settings: WorkerSettings):
    from streams.settings import ObserverSettings

    return settings.as_role(ObserverSettings, metrics_port=free_ports(2))


if __name__ == "__main__":
    sys.exit(main())
