"""When requests count as answered: once their replies are, or were given up."""

import threading

import pytest

from streams.settings import WorkerSettings
from streams.worker import requests
from streams.worker.context import Service
from streams.worker.requests import Requests

SETTINGS = WorkerSettings(delivery_timeout_s=60)


class Clients:
    """A consumer that counts commits, and a producer that is told how many replies are on their way."""

    def __init__(self):
        self.n_waiting = self.n_commits = 0

    def flush(self):
        pass

    def commit(self):
        self.n_commits += 1


class Clock:
    """A time that moves when told."""

    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(requests, "time", found)
    return found


def test_requests_are_committed_after_their_replies_are_acknowledged(clock):
    clients = Clients()
    answering = Requests(Service(SETTINGS, threading.Event()), clients, clients)
    clients.n_waiting = 2
    answering._commit()
    assert clients.n_commits == 0
    clients.n_waiting = 0
    answering._commit()
    assert clients.n_commits == 1


def test_replies_that_never_arrive_hold_commits_no_longer_than_the_delivery_timeout(clock):
    clients = Clients()
    answering = Requests(Service(SETTINGS, threading.Event()), clients, clients)
    clients.n_waiting = 1
    clock.now += 59
    answering._commit()
    assert clients.n_commits == 0
    clock.now += 1
    answering._commit()
    assert clients.n_commits == 1
