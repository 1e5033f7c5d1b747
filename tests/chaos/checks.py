"""What is checked in the end of a run: codes, dead letters, the observer, and how roles end."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from dch.models.model import Model
from streams import topics
from streams.client import RecommendClient
from streams.errors import BadRecord
from streams.kafka import Consumer, Partition
from streams.messages import RecommendRequest, RequestLimits, decode_item_code, decode_item_rating
from streams.settings import ClientSettings
from tests.chaos.oracle import REAL_ITEM, Fold, is_bad, original_position
from tests.chaos.refits import Refits, model_in_service, pointers
from tests.chaos.service import Service

N_COMPARED = 300
"""Users whose codes are compared, beside all who were forgotten."""

MIN_PUBLISHED = 2
"""Refits that have to be in service during a run."""


class Checks:
    """Compares a service with what is right, and adds to its failures what is not."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.n_items = self.n_users = self.n_different_users = self.n_observed = self.n_repeated = 0
        self.different: set[str] = set()
        """Items with another code than in the fold."""

        self.letters, self.bad = Counter[str](), set[str]()
        """The records that dead letters are about, and those that deserve one, by position."""

        self.in_service: Model | None = None
        """The model in service in the end."""

    def settle(self) -> None:
        """Wait until everything is applied and published, and the last model is in service."""
        self._service.wait("all workers are ready", self._service.are_ready)
        if self._service.refits is not None:
            self._end_refits(self._service.refits)
        self._service.wait("everything is applied", self._service.is_applied)
        self._service.wait("the newest model is in service", self._finds_model)
        logs = (self._service.read_all(name) for name in ("users", "items", "ratings"))
        self._expected = Fold(self.in_service, *logs, self._service.world.owner_of)
        self._service.wait("the codes of all items are those of the fold", self._items_are_equal)

    def _end_refits(self, refits: Refits) -> None:
        """Let the last fit end, and the trainer with it: no other generation comes from now on."""
        self._service.wait("no fit runs, and none is due", refits.are_done)
        (trainer,) = (role for role in self._service.roles if role.name == "trainer")
        self._service.roles.remove(trainer)
        if (code := trainer.end()) != 0:
            self._service.failures.append(f"trainer stopped with {code}")
        if (n := refits.outcomes()["published"]) < MIN_PUBLISHED:
            self._service.failures.append(f"the trainer published {n} generations, not {MIN_PUBLISHED}")

    def _finds_model(self) -> bool:
        announced = pointers(self._service.read_all("models"))
        self.in_service = model_in_service(self._service.workers, announced, self._service.settings.artifacts)
        return self.in_service is not None

    def _items_are_equal(self) -> bool:
        found = {id_: code for id_, code in self._item_codes() if REAL_ITEM.fullmatch(id_)}
        expected = self._expected.item_codes()
        self.n_items = len(expected)
        either = expected.keys() | found.keys()  # an item that was removed has no code
        self.different = {id_ for id_ in either if found.get(id_) != expected.get(id_)}
        return not self.different

    def _item_codes(self) -> Iterator[tuple[str, tuple[int, str, int] | None]]:
        """Yield each item with its newest generation, code and number of positive ratings."""
        for record in self._service.read_all("item-codes"):
            with contextlib.suppress(BadRecord):
                id_, code = decode_item_code(record)
                yield id_, code and (code.generation, code.code, code.positives)

    def check(self) -> None:
        """Compare users with the fold, and dead letters with the bad records."""
        client = RecommendClient(self._service.settings.as_role(ClientSettings, request_timeout_s=60))
        n_users = self._service.options.users
        sample = self._service.rng.choice(n_users, min(N_COMPARED, n_users), replace=False)
        for user in [*(f"u{at}" for at in sample.tolist()), *self._service.traffic.forgotten]:
            expected = self._expected.recommender.user_code(user)
            reply = client.ask(RecommendRequest(user=user, k=1))
            self.n_users += 1
            if reply.code != (expected and expected.hex()):
                self.n_different_users += 1
                self._service.failures.append(
                    f"user {user} has code {reply.code}, expected {expected and expected.hex()}"
                )
        client.close()
        self._compare_letters()
        self._count_repeated()
        self._await_observer()
        for role in self._service.roles:
            if (code := role.end()) != 0:
                self._service.failures.append(f"{role.name} stopped with {code}")

    def _await_observer(self) -> None:
        """Wait until the observer has committed all of `served`: one that hangs would end like any other."""
        settings = self._service.settings
        watcher = Consumer(settings, group=settings.group_of("observer"), start="earliest")
        places = [Partition(settings.topic("served"), at) for at in range(settings.partitions)]
        self._service.wait(
            "the observer has committed all of `served`",
            lambda: watcher.committed(places) == watcher.end_offsets(places),
        )
        self.n_observed = sum(watcher.committed(places).values())
        watcher.close()

    def _compare_letters(self) -> None:
        """Each bad record gets a dead letter, those of the global tables about once a second."""
        try:
            self._service.wait("each bad record has a dead letter", self._letters_are_complete, 120)
        except TimeoutError:
            lost = self.bad - self.letters.keys()
            fault = f"{len(lost)} bad records without a dead letter, such as {sorted(lost)[:3]}"
            self._service.failures.append(fault)

    def _letters_are_complete(self) -> bool:
        self.letters, self.bad = Counter(), set()
        settings = self._service.settings
        limits = RequestLimits(settings.max_request_bytes, settings.max_request_ids, settings.max_k)
        for topic in topics.TOPICS:
            if topic.has_dead_letters and topic is not topics.SERVED:  # workers do not read it
                records = self._service.read_all(topic.name)
                self.bad |= {record.position for record in records if is_bad(topic.name, record, limits)}
                letters = self._service.read_all(topic.name + topics.DEAD_LETTER_SUFFIX)
                self.letters.update(map(original_position, letters))
        return self.bad <= self.letters.keys()

    def _count_repeated(self) -> None:
        """Count repeated events of `item-ratings`; the item codes show that none is missing."""
        records = [one for one in self._service.read_all("item-ratings") if one.position not in self.bad]
        parts = [decode_item_rating(record).as_tuple() for record in records]
        values = Counter(event for columns in parts for event in zip(*columns, strict=True))
        self.n_repeated = sum(values.values()) - len(values)
