"""What is broken in a run, while ratings are published and clients ask."""

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from dch.artifact import save_model
from streams import artifacts
from streams.client import RecommendClient
from streams.errors import StreamError
from streams.messages import RecommendReply, RecommendRequest, is_followed
from streams.settings import ClientSettings
from tests.chaos.refits import Refits, pointers
from tests.chaos.report import Row
from tests.chaos.service import N_BROKERS, N_WORKERS, Service
from tests.chaos.traffic import N_ASKED

AWAY_S = 10.0
"""How long a broker that was killed is away."""


class Disturbances:
    """Breaks a service, each time waits until its workers are ready again, and notes how long that took."""

    def __init__(self, service: Service) -> None:
        self._service, self._options = service, service.options
        self.rows = {
            what: Row(what)
            for what in (
                "worker killed",
                "worker killed when a refit was published",
                "broker killed",
                "broker killed during a refit",
                "store unreadable",
                "store unreadable and a broker killed during a refit",
                "consumer quota",
                "mutated records",
            )
        }
        self.replies: Counter[str] = Counter()
        self.foreign_generation = 0
        """The generation that another process than the trainer announced."""

    def disturb(self) -> None:
        """Publish the stream and the mutated records, and break things meanwhile."""
        stop, self._service.traffic.n_allowed = threading.Event(), len(self._service.base)
        with ThreadPoolExecutor(4) as pool:
            jobs = [
                pool.submit(
                    self._service.traffic.publish,
                    self._service.stream,
                    pace_s=self._options.pace_s,
                    n_tombstones=self._options.forgotten,
                ),
                pool.submit(self._service.traffic.publish_mutated),
                pool.submit(self._watch, stop),
                pool.submit(self._ask, stop),
            ]
            self._publishers = jobs[:2]
            try:
                self._break_things()
                self._service.traffic.n_allowed = math.inf
                for job in jobs[:2]:
                    job.result()
                self.rows["mutated records"].times = self._options.mutated
            finally:
                self._service.traffic.n_allowed = math.inf
                stop.set()
            for job in jobs[2:]:
                job.result()

    def _break_things(self) -> None:
        """Kill workers, with the other disturbances in between; each has an equal part of the stream."""
        kills, others = self._options.kills, self._others()
        self._part = len(self._service.stream) / (kills + len(others))
        for at in range(kills):
            self._recover("worker killed", self._service.roles[at % N_WORKERS].kill)
            while others and (at + 1) / kills >= others[0][0]:
                others.pop(0)[1]()

    def _others(self) -> list[tuple[float, Callable[[], None]]]:
        """Return the other disturbances, each with the share of the kills after which it comes."""
        found: list[tuple[float, Callable[[], None]]] = []
        if "brokers" not in self._options.skip:
            found += [(0.2 + 0.1 * at, lambda at=at: self._kill_broker(at + 1)) for at in range(N_BROKERS)]
        if not {"brokers", "trainer"} & set(self._options.skip):
            found.append((0.5, self._kill_broker_during_a_refit))
        if not {"brokers", "trainer", "store"} & set(self._options.skip):
            found.append((0.15, self._hide_store_during_a_refit))  # the first fit takes longest
        found += [] if "store" in self._options.skip else [(0.6, self._hide_store)]
        found += [] if "trainer" in self._options.skip else [(0.7, self._kill_worker_at_a_swap)]
        found += [] if "quota" in self._options.skip else [(0.8, self._impose_quota)]
        return sorted(found, key=lambda one: one[0])

    def _kill_broker(self, number: int) -> None:
        self._recover("broker killed", lambda: self._restart_broker(number))

    def _restart_broker(self, number: int) -> None:
        self._service.cluster.call("kill", str(number))
        time.sleep(AWAY_S)  # that it is away for so long is what is tried, not a condition
        self._service.cluster.insist("start")

    def _kill_broker_during_a_refit(self) -> None:
        self._await_refit()
        self._recover("broker killed during a refit", lambda: self._restart_broker(1))

    def _hide_store_during_a_refit(self) -> None:
        """Hide the store from a fit that runs: its model cannot be stored. A broker is away meanwhile."""

        def hide() -> None:
            self._service.point_store_at("nowhere")
            self._restart_broker(2)
            time.sleep(self._options.hidden_s)  # as above
            self._service.point_store_at("stored")

        self._await_refit()
        self._recover("store unreadable and a broker killed during a refit", hide)

    def _kill_worker_at_a_swap(self) -> None:
        """Kill a worker as soon as a refit is published, also after a model of another process."""
        self._await_refit(Refits.n_published)
        self._recover("worker killed when a refit was published", self._service.roles[1].kill)

    def _await_refit(self, count: Callable[[Refits], int] = Refits.n_learning) -> None:
        """Have ratings published until one more fit learns, or what else is counted; while one runs, none."""
        refits, traffic = self._service.refits, self._service.traffic
        assert refits is not None, "the run has a trainer"
        n_before = count(refits)

        def has_come() -> bool:
            if traffic.n_published >= traffic.n_allowed and not refits.is_running():
                traffic.n_allowed += 500
            if self._publishers[0].done() and refits.are_done():
                raise TimeoutError("too few ratings for a refit: more --ratings, or fewer --refit-ratings")
            return count(refits) > n_before

        self._service.wait("a refit", has_come)

    def _hide_store(self) -> None:
        """Announce a model that another process fitted, with the store hidden, and kill a worker."""

        def hide() -> None:
            self.foreign_generation = self._next_generation()
            model = self._service.model(self.foreign_generation)
            save_model(draft := self._service.folder / "foreign", model)
            pointer = artifacts.upload_model(self._service.settings.artifacts, draft, watermarks={})
            self._service.point_store_at("nowhere")
            artifacts.publish_pointer(self._service.settings, pointer)
            self._service.roles[0].kill()
            time.sleep(self._options.unreadable_s)  # as above
            self._service.point_store_at("stored")

        self._recover("store unreadable", hide)

    def _next_generation(self) -> int:
        """Return a generation beyond all that are announced; those that no role follows do not count."""
        found = pointers(self._service.read_all("models"))
        return 1 + max(one.generation for one in found if is_followed(one.generation, 0))

    def _impose_quota(self) -> None:
        def impose() -> None:
            self._service.cluster.quota("--add-config", f"consumer_byte_rate={self._options.quota_bytes}")
            self._service.roles[1].kill()
            time.sleep(self._options.quota_s)  # as above
            self._service.cluster.quota("--delete-config", "consumer_byte_rate")

        self._recover("consumer quota", impose)

    def _recover(self, what: str, disturbance: Callable[[], None]) -> None:
        """Do something, and measure how long the workers then take until all of them are ready."""
        self._service.say(what)
        for job in self._publishers:
            if job.done():
                job.result()  # raises the error of a publisher that failed
        self._service.traffic.n_allowed += self._part
        disturbance()
        started = time.monotonic()
        self._service.wait(f"ready after: {what}", self._service.are_ready)
        row = self.rows[what]
        row.times += 1
        row.seconds.append(time.monotonic() - started)

    def _watch(self, stop: threading.Event) -> None:
        """Note each role that ended, but not by a kill, and start it again."""
        while not stop.wait(0.2):
            for role in self._service.roles:
                process = role.process
                if process.poll() not in (None, -9):
                    tail = "".join(role.log.read_text().splitlines(keepends=True)[-3:])
                    self._service.failures.append(f"{role.name} ended with {process.returncode}: {tail}")
                    role.start()

    def _ask(self, stop: threading.Event) -> None:
        """Ask for users all of whose first ratings were applied, and check that each reply rests on them."""
        known = Counter(user for user, _ in {(event.user, event.item) for event in self._service.base})
        asked = [f"u{at}" for at in range(N_ASKED) if known[f"u{at}"]]
        while not stop.is_set():
            with contextlib.suppress(StreamError):
                self._ask_until_error(stop, asked, known)

    def _ask_until_error(self, stop: threading.Event, asked: list[str], known: Counter[str]) -> None:
        with RecommendClient(self._service.settings.as_role(ClientSettings, request_timeout_s=30)) as client:
            while not stop.wait(0.05):
                user = asked[self.replies.total() % len(asked)]
                reply = client.ask(RecommendRequest(user=user, k=10, include_rated=True))
                kind = "error"
                if isinstance(reply, RecommendReply):
                    kind = "complete" if (reply.ratings or 0) >= known[user] else "incomplete"
                    kind = "empty" if not reply.items else kind
                self.replies[kind] += 1
