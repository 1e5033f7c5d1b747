"""Requests are committed once their replies are acknowledged, or have timed out."""

import json
import threading

import pytest
from random_models import random_model

from dch.recommender import Recommender
from streams.kafka.records import Partition, Record
from streams.messages import RecommendReply, decode_reply
from streams.messages import requests as messages
from streams.settings import WorkerSettings
from streams.worker import requests as module
from streams.worker.context import AwaitedModel, WorkerContext
from streams.worker.requests import Requests

SETTINGS = WorkerSettings(delivery_timeout_s=60)


class Clients:
    """A consumer that counts commits, and a producer with a given number of unacknowledged replies."""

    def __init__(self):
        self.n_waiting = self.n_commits = 0
        self.sent = []

    def flush(self):
        pass

    def commit(self):
        self.n_commits += 1

    def send(self, output):
        self.sent.append(output)

    def nothing(self, *args, **kwargs):
        pass

    mark_applied = poll = nothing


class Clock:
    """A clock that a test moves by hand."""

    now = 100.0

    def monotonic(self):
        return self.now

    perf_counter = monotonic


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def test_requests_are_committed_after_their_replies_are_acknowledged(clock):
    clients = Clients()
    requests = Requests(WorkerContext(SETTINGS, threading.Event()), clients, clients, clients)
    clients.n_waiting = 2
    requests.commit()
    assert clients.n_commits == 0
    clients.n_waiting = 0
    requests.commit()
    assert clients.n_commits == 1


def test_replies_that_never_arrive_delay_commits_no_longer_than_the_delivery_timeout(clock):
    clients = Clients()
    requests = Requests(WorkerContext(SETTINGS, threading.Event()), clients, clients, clients)
    clients.n_waiting = 1
    clock.now += 59
    requests.commit()
    assert clients.n_commits == 0
    clock.now += 1
    requests.commit()
    assert clients.n_commits == 1


def test_staleness_is_not_cut_off_when_a_record_is_stamped_ahead():
    context = WorkerContext(SETTINGS, threading.Event())
    context.newest_published_ms = 3_600_000
    assert context.staleness_s(120_000) == -3480
    assert context.staleness_s(3_600_500) == 0.5


def test_staleness_is_the_age_of_the_newest_rating_though_the_model_is_newer():
    context = WorkerContext(SETTINGS, threading.Event())
    context.first_fit_ms = 50_000
    assert context.staleness_s(60_000) == 10
    context.newest_published_ms = 20_000
    assert context.staleness_s(60_000) == 40


@pytest.mark.parametrize("request_", [{"user": "u1"}, {"history": [{"item": "i1", "rating": 5}]}])
def test_a_worker_without_the_announced_model_answers_with_an_error_until_it_has_it(request_):
    recommender = Recommender(random_model())
    recommender.recommend_history([("i1", 5.0)])  # compiles, which a worker does before it is ready
    clients, context = Clients(), WorkerContext(SETTINGS, threading.Event())
    context.recommender = recommender
    context.serving = context.caught_up = frozenset(range(SETTINGS.partitions))
    requests = Requests(context, clients, clients, clients)
    record = Record("requests", 0, 1, b"u1", json.dumps(request_).encode(), 1_700_000_000_000)

    def reply():
        requests._answer_all([record])
        return decode_reply(clients.sent[-1].value)

    assert isinstance(reply(), RecommendReply)
    context.awaited_model = AwaitedModel(2, -10.0 * SETTINGS.model_load_timeout_s)
    assert "cannot load generation 2 from its artifact store" in reply().error
    context.awaited_model = None
    assert isinstance(reply(), RecommendReply)


SHORT = {"user": "u1"}
LONG = {
    "of history": {"history": [{"item": f"i{n}", "rating": 5} for n in range(500)]},
    "of exclude": {"user": "u1", "exclude": [f"item number {n}" for n in range(2000)]},
    "list": {"user": "u1", "k": 501},
}


class Reader(Clients):
    """Clients that remember which partitions were left unapplied, and which from some record on."""

    def mark_applied(self, *, skip, waiting):
        self.skipped, self.waiting = set(skip), waiting


def reading(settings=SETTINGS):
    """Return the requests of a worker that serves all partitions, and its clients."""
    reader, context = Reader(), WorkerContext(settings, threading.Event())
    context.recommender = Recommender(random_model())
    context.serving = context.caught_up = frozenset(range(settings.partitions))
    return Requests(context, reader, reader, reader), reader


def read(name, request, partition=0, offset=1):
    return Record(
        "requests", partition, offset, name.encode(), json.dumps(request).encode(), 1_700_000_000_000
    )


def answered(reader):
    """Return the keys of the requests that were answered, in order, and forget them."""
    keys = [output.key.decode() for output in reader.sent if output.topic == "recommendations"]
    reader.sent.clear()
    return keys


@pytest.mark.parametrize("long", LONG.values(), ids=LONG)
def test_long_requests_wait_behind_short_ones_that_were_read_later(clock, long):
    requests, reader = reading()
    requests._answer_all(
        [read("long 1", long), read("long 2", long, 1, 7), read("a", SHORT), read("b", SHORT, 1, 8)]
    )
    assert answered(reader) == ["a", "b", "long 1"]
    assert reader.waiting == {Partition("requests", 1): 7}
    requests._answer_all([read("c", SHORT), read("long 3", long)])
    assert answered(reader) == ["c", "long 2"]
    requests._answer_all([])
    assert answered(reader) == ["long 3"]
    assert (reader.skipped, reader.waiting) == (set(), {})


def test_short_requests_wait_for_no_id_of_the_long_ones_read_with_them(clock, monkeypatch):
    replies_before = []  # each time that a history is decoded
    requests, reader = reading()

    def decoded(fields):
        replies_before.append(sum(output.topic == "recommendations" for output in reader.sent))
        return (messages.RatedItem("i1", 5.0),)

    monkeypatch.setattr(messages, "_history", decoded)
    huge = {"history": [{"item": f"item number {n}", "rating": 5} for n in range(2000)]}
    requests._answer_all([read("huge", huge) for _ in range(9)] + [read("short", SHORT) for _ in range(40)])
    assert answered(reader) == ["short"] * 40 + ["huge"]
    assert replies_before == [40]


def test_no_more_than_eight_long_requests_wait_and_a_commit_answers_no_more_than_one(clock):
    requests, reader = reading()
    requests._answer_all([read(f"{n}", LONG["list"], 0, n) for n in range(12)])
    assert answered(reader) == ["0", "1", "2", "3"]
    requests._answer_all([])
    assert answered(reader) == ["4"]
    clock.now += module.COMMIT_INTERVAL_S + 1
    requests._answer_all([read("short", SHORT, 0, 12)])
    assert answered(reader) == ["short", "5"]
    assert (reader.skipped, reader.waiting) == (set(), {Partition("requests", 0): 6})
    assert reader.n_commits == 1


def test_a_long_request_that_waits_while_its_partition_is_lost_is_read_again(clock):
    requests, reader = reading()
    long, short = LONG["of history"], {"history": [{"item": "i1", "rating": 5}]}
    requests._answer_all([read("long 1", long, 0, 1), read("long 2", long, 0, 2)])
    assert answered(reader) == ["long 1"]
    requests._context.caught_up -= {0}
    requests._answer_all([read("short", short, 0, 3)])
    assert answered(reader) == []
    assert requests._put_off == {Partition("requests", 0): 2}
    assert reader.skipped == {Partition("requests", 0)}


def test_long_requests_that_wait_are_answered_before_the_worker_ends(clock):
    requests, reader = reading()
    requests._answer_all([read(f"{n}", LONG["list"]) for n in range(3)])
    requests._context.stop.set()
    requests.run()
    assert answered(reader) == ["0", "1", "2"]
    assert (reader.skipped, reader.waiting, reader.n_commits) == (set(), {}, 1)


@pytest.mark.parametrize(
    ("settings", "request_", "message"),
    [
        (
            {"max_k": 10},
            SHORT,
            "k: expected at most 10 items, got 20; the limit is the worker's setting --max-k",
        ),
        (
            {"max_request_ids": 499},
            LONG["of history"],
            "got 500; the limit is the worker's setting --max-request",
        ),
        ({"max_request_bytes": 1024}, LONG["of exclude"], "expected at most 1024 bytes, got "),
    ],
)
def test_a_request_over_a_limit_gets_an_error_reply_and_is_no_dead_letter(settings, request_, message):
    requests, reader = reading(SETTINGS.replace(**settings))
    requests._answer_all([read("heavy", request_)])
    (output,) = reader.sent
    assert output.topic == "recommendations"
    assert message in decode_reply(output.value).error
