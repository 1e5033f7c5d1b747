"""Two workers swap models together: none lists from fewer items, whoever gets the next model later."""

import dataclasses

import pytest
from random_models import random_model

from dch.recommender import Recommender
from streams.errors import StoppedError
from streams.kafka.outbox import Outbox
from streams.kafka.partitioner import partition_for
from streams.messages import ModelPointer
from streams.worker.context import FetchedModel
from streams.worker.item_codes import ItemCodeTable
from streams.worker.models import ModelSwapper
from tests.streams.worker.test_item_codes import ITEMS, OURS, SETTINGS, THEIRS, code_of, rate, read, served


def fetched(generation):
    hash_ = f"{generation:012x}"
    model = dataclasses.replace(random_model(generation=generation, seed=generation), generation_hash=hash_)
    pointer = ModelPointer(
        generation=generation, location="x", sha256=hash_, watermarks={}, trained_at=0, metrics={}
    )
    return FetchedModel(model, pointer, 0.0)


class Topic(list):
    """The topic `item-codes`."""

    def send(self, output):
        self.append(output)

    def flush(self):
        pass


class Worker:
    """The part of a worker that makes, reads and swaps item codes, on a clock that stands still."""

    def __init__(self, topic, partition, items):
        self.topic, self.items, self.n_read, self.now, self.round = topic, items, 0, 0.0, 0
        self.recommender = Recommender(fetched(1).model)
        self.codes = ItemCodeTable(SETTINGS, self.recommender.state)
        self.codes.owned = frozenset({partition})
        self.outbox = Outbox(SETTINGS, topic, group="worker")
        self.swapper = ModelSwapper(
            SETTINGS,
            self.recommender.state,
            self.codes,
            self.outbox,
            fetched(1),
            now=lambda: self.now,
        )

    def load(self, generation):
        """Have the next model, and read the topic again, where its codes may have come too early."""
        self.swapper.offer(fetched(generation))
        self.n_read = 0

    def rate(self):
        """Change the code of every item of this worker."""
        self.round += 1
        rate(self.recommender, self.items, rating=1.0 + self.round % 5, time=self.round)

    def step(self):
        """Read the topic, publish what changed, and swap when ready."""
        records = read(self.topic[self.n_read :])
        self.n_read = len(self.topic)
        self.codes.update(records)
        self.outbox.send_all(self.codes.refresh())
        self.swapper.swap_when_ready()

    @property
    def generation(self):
        return self.recommender.model.generation


@pytest.fixture
def workers():
    topic = Topic()
    pair = [Worker(topic, 0, list(OURS)), Worker(topic, 1, list(THEIRS))]
    for one in pair:
        one.rate()
    for one in pair * 3:
        one.step()
    assert [served(one.recommender) for one in pair] == [set(ITEMS)] * 2
    return pair


def steps(pair, n, *, busy=False):
    for _ in range(n):
        for one in pair:
            if busy:
                one.rate()
            one.step()
            assert served(one.recommender) >= set(ITEMS), "a list from fewer items"


@pytest.mark.parametrize("busy", [False, True])
def test_a_worker_waits_with_the_next_model_until_the_other_one_has_it_too(workers, busy):
    first, second = workers
    first.load(2)
    steps(workers, 5, busy=busy)
    assert [one.generation for one in workers] == [1, 1]
    for hours in range(1, 4):  # no time is too long
        first.now = hours * 3600.0
        steps(workers, 2, busy=busy)
    assert [one.generation for one in workers] == [1, 1]
    second.load(2)
    steps(workers, 4, busy=busy)
    assert [one.generation for one in workers] == [2, 2]
    steps(workers, 2)
    for item in ITEMS:
        assert code_of(first.recommender, item) == code_of(second.recommender, item)
    newest = {id_: code for id_, _, code in read(first.topic)}
    assert {(code.generation, code.generation_hash) for code in newest.values()} == {(2, f"{2:012x}")}


def test_a_new_item_of_a_worker_that_is_late_is_listed_while_the_other_one_waits(workers):
    first, second = workers
    first.load(2)
    steps(workers, 2)
    new = new_item_of(1)
    second.items.append(new)
    second.rate()
    steps(workers, 2)
    assert new in served(first.recommender)
    assert first.generation == 1
    second.load(2)
    steps(workers, 4)
    assert [one.generation for one in workers] == [2, 2]
    assert all(new in served(one.recommender) for one in workers)


def new_item_of(partition):
    return next(f"n{n}" for n in range(99) if partition_for(f"n{n}".encode(), 2) == partition)


def test_new_items_of_both_that_come_between_publishing_and_swapping_hold_up_neither(workers):
    for one in workers:
        one.load(2)
    workers[0].step()
    for number, one in enumerate(workers):
        one.items.append(new_item_of(number))
        one.rate()
    for minutes in range(4):
        for one in workers:
            one.now = 60.0 * minutes
        steps(workers, 2)
    assert [one.generation for one in workers] == [2, 2]


def test_a_worker_that_takes_over_the_partitions_of_a_lost_one_swaps_alone(workers):
    first, second = workers
    first.load(2)
    steps(workers, 2)
    assert first.generation == 1
    first.codes.owned = frozenset({0, 1})
    rate(first.recommender, second.items, rating=1.0 + second.round % 5, time=second.round)  # the replay
    steps([first], 1)
    assert first.generation == 2


def test_a_swap_that_is_given_up_changes_nothing_and_is_made_later(workers):
    """A worker that is told to stop does not first encode a whole catalogue."""
    for one in workers:
        one.load(2)
    first, _ = workers
    n_written, n_pauses = len(first.topic), 0

    def pause():
        nonlocal n_pauses
        n_pauses += 1
        raise StoppedError("told to stop")

    with pytest.raises(StoppedError):
        first.swapper.swap_when_ready(pause)
    assert (n_pauses, first.generation, len(first.topic)) == (1, 1, n_written)
    assert served(first.recommender) == set(ITEMS)
    steps(workers, 3)
    assert [one.generation for one in workers] == [2, 2]


def test_preparing_a_model_pauses_between_parts_of_its_work(workers, monkeypatch):
    monkeypatch.setattr("dch.state.snapshot.ROWS_PER_PART", 2)
    monkeypatch.setattr("dch.state.encoder.RATINGS_PER_PART", 3)
    state, pauses = workers[0].recommender.state, []
    n_ratings = len(state.history.item_histories.live())
    state.prepare(random_model(generation=2, seed=2), lambda: pauses.append(1))
    assert len(pauses) == -(-len(ITEMS) // 2) + -(-n_ratings // 3)
