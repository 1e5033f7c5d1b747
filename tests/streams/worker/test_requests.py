"""Requests are committed once their replies are acknowledged, or have timed out."""

import threading

import pytest

from streams.settings import WorkerSettings
from streams.worker import requests as module
from streams.worker.context import WorkerContext
from streams.worker.requests import Requests

SETTINGS = WorkerSettings(delivery_timeout_s=60)


class Clients:
    """A consumer that counts commits, and a producer with a given number of unacknowledged replies."""

    def __init__(self):
        self.n_waiting = self.n_commits = 0

    def flush(self):
        pass

    def commit(self):
        self.n_commits += 1


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
    requests = Requests(WorkerContext(SETTINGS, threading.Event()), clients, clients)
    clients.n_waiting = 2
    requests.commit()
    assert clients.n_commits == 0
    clients.n_waiting = 0
    requests.commit()
    assert clients.n_commits == 1


def test_replies_that_never_arrive_delay_commits_no_longer_than_the_delivery_timeout(clock):
    clients = Clients()
    requests = Requests(WorkerContext(SETTINGS, threading.Event()), clients, clients)
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
