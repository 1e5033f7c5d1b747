"""The order of a batch is the guarantee."""

import os
import signal

import pytest

from streams.errors import BadRecord, DeliveryError
from streams.loop import process_batch, stop_on_signals
from streams.records import Output, Record


class Log:
    """A source and a sink that write down what happens."""

    def __init__(self, values, *, fails_at=None):
        self.values = list(values)
        self.fails_at = fails_at
        self.steps = []

    def poll(self):
        return [Record("ratings", 0, i, None, value, 0) for i, value in enumerate(self.values)]

    def send(self, output):
        self.steps.append(output.topic)

    def flush(self):
        if self.fails_at == "flush":
            raise DeliveryError("1 records were not delivered")
        self.steps.append("flush")

    def commit(self):
        self.steps.append("commit")


def act(record):
    if record.value == b"bad":
        raise BadRecord("value", "bad")
    return [Output("codes", None, record.value)] if record.value == b"ok" else []


def dead(record, reason):
    return Output("dead-letters", record.key, record.value)


def test_a_bad_record_becomes_a_dead_letter_and_the_rest_go_on():
    log = Log([b"ok", b"bad", b"silent", b"ok"])
    assert process_batch(log, log, act, dead) == 4
    assert log.steps == ["codes", "dead-letters", "codes", "flush", "commit"]


def test_nothing_is_committed_when_a_record_was_not_delivered():
    log = Log([b"ok"], fails_at="flush")
    with pytest.raises(DeliveryError):
        process_batch(log, log, act, dead)
    assert log.steps == ["codes"]


def test_an_empty_poll_commits_nothing():
    log = Log([])
    assert process_batch(log, log, act, dead) == 0
    assert log.steps == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_asks_to_stop_and_a_second_would_end_the_process(name):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop = stop_on_signals()
        assert not stop.is_set()
        os.kill(os.getpid(), getattr(signal, name))
        assert stop.wait(5)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
