"""Requests are committed once their replies are acknowledged, or have timed out."""

import json
import threading

import pytest
from random_models import random_model

from dch.recommender import Recommender
from streams.kafka.records import Record
from streams.messages import RecommendReply, decode_reply
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


@pytest.mark.parametrize("request_", [{"user": "u1"}, {"history": [{"item": "i1", "rating": 5}]}])
def test_a_worker_without_the_announced_model_answers_with_an_error_until_it_has_it(request_):
    clients, context = Clients(), WorkerContext(SETTINGS, threading.Event())
    context.recommender = Recommender(random_model())
    context.serving = frozenset(range(SETTINGS.partitions))
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
