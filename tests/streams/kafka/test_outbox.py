"""The outbox writes results, dead letters and repartitioned records, in order, and counts the last two."""

import msgspec
import pytest

from streams.errors import BadRecord
from streams.kafka.dead_letters import dead_letter
from streams.kafka.outbox import Outbox, is_repartitioned
from streams.kafka.records import Output, Record
from streams.metrics import DEAD_LETTERS, EVENTS
from streams.settings import KafkaSettings

RECORD = Record("t-ratings", 3, 1042, b"key", b"value", 1_700_000_000_000, [("ce_id", b"7")])


class Log:
    """A producer that keeps what was done, in order."""

    def __init__(self):
        self.steps = []

    def send(self, output):
        self.steps.append(output)

    def flush(self):
        self.steps.append("flush")


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def outbox(log):
    return Outbox(KafkaSettings(prefix="t-"), log, group="worker")


def plain(output):
    """Return an output without what replaces it if it is too large: functions compare by identity."""
    return msgspec.structs.replace(output, if_refused=None)


def events(outcome):
    return EVENTS.labels("ratings", outcome)._value.get()


def test_a_repartitioned_record_keeps_value_headers_and_time_and_is_counted(outbox, log):
    before = events("forwarded")
    outbox.repartition(RECORD, 1, b"user")
    (output,) = log.steps
    assert plain(output) == Output(
        topic="t-ratings",
        key=b"user",
        value=b"value",
        partition=1,
        headers=[("ce_id", b"7"), ("dch-forwarded", b"t-ratings[3]@1042")],
        timestamp_ms=1_700_000_000_000,
    )
    assert events("forwarded") == before + 1
    assert not is_repartitioned(RECORD)
    assert is_repartitioned(Record("t-ratings", 1, 0, b"user", b"value", 0, output.headers))


def test_a_dead_letter_is_counted_by_topic_and_reason(outbox, log):
    letters, before = DEAD_LETTERS.labels("ratings", "json"), events("dead_letter")
    n_letters = letters._value.get()
    reason = BadRecord("value", "expected JSON", reason="json")
    outbox.dead_letter(RECORD, reason)
    assert [plain(letter) for letter in log.steps] == [plain(dead_letter(RECORD, reason, group="worker"))]
    assert letters._value.get() == n_letters + 1
    assert events("dead_letter") == before + 1


def test_sending_all_flushes_after_the_last_record_and_not_without_records(outbox, log):
    outbox.send_all([])
    assert log.steps == []
    outputs = [Output("t-a", b"1", b""), Output("t-a", b"2", b"")]
    outbox.send_all(outputs)
    assert log.steps == [*outputs, "flush"]


def test_a_record_too_large_to_be_repartitioned_becomes_a_dead_letter(outbox, log):
    letters = DEAD_LETTERS.labels("ratings", "refused")
    before = letters._value.get()
    outbox.repartition(RECORD, 1, b"user")
    (output,) = log.steps
    assert letters._value.get() == before
    letter = output.if_refused()
    assert (letter.topic, letter.partition, letter.value) == ("t-ratings-dlt", 3, b"value")
    assert b"not repartitioned to partition 1" in dict(letter.headers)["kafka_dlt-exception-message"]
    assert letter.if_refused().value is None
    assert letters._value.get() == before + 1
