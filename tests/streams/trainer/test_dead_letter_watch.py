"""The gauges of dead letters: a broker that is away is waited for, and a bug ends the trainer."""

import threading

import pytest

from streams.errors import BrokerUnavailableError
from streams.settings import TrainerSettings
from streams.trainer import dead_letter_watch
from streams.trainer.dead_letter_watch import watch_dead_letters

WAIT_S = 20


class FakeConsumer:
    def __init__(self, settings, **options):
        pass

    def close(self):
        pass


@pytest.fixture
def watching(monkeypatch):
    """Watch, with these outcomes of one look after another; the last one is repeated."""
    monkeypatch.setattr(dead_letter_watch, "Consumer", FakeConsumer)
    monkeypatch.setattr(dead_letter_watch, "INTERVAL_S", 0.001)

    def start(stop, *outcomes):
        left, looked = list(outcomes), threading.Event()

        def look(settings, depth, now_s):
            if len(left) == 1:
                looked.set()
            found = left.pop(0) if len(left) > 1 else left[0]
            if found is not None:
                raise found

        monkeypatch.setattr(dead_letter_watch, "show_depth", look)
        return watch_dead_letters(TrainerSettings(), stop), looked

    return start


def test_a_broker_that_is_away_is_asked_again(watching):
    stop = threading.Event()
    watch, looked = watching(stop, BrokerUnavailableError("away"), BrokerUnavailableError("away"), None)
    with watch:
        assert looked.wait(WAIT_S)
    assert not stop.is_set()


def test_a_bug_ends_the_trainer(watching):
    stop = threading.Event()
    watch, _ = watching(stop, None, ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"), watch:
        assert stop.wait(WAIT_S)
