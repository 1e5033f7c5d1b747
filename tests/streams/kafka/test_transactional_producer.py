"""What is said of a transaction whose commit failed: that nothing was written only where that is certain."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.errors import DeliveryError, StoppedError, UnconfirmedError
from streams.kafka.patience import Patience
from streams.kafka.records import Output
from streams.kafka.transactional_producer import TransactionalProducer
from streams.settings import KafkaSettings
from tests.streams.kafka.test_patience import Clock

SLOW = KafkaError(KafkaError._TIMED_OUT, "commit timed out", retriable=True)
FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large", txn_requires_abort=True)
BUSY = KafkaError(KafkaError._CONFLICT, "a commit is in progress")


class Client:
    """A producer whose commits give these errors, the last one for ever, and its aborts that one."""

    def __init__(self, commits, abort=None):
        self.commits, self.abort, self.n_aborted = list(commits), abort, 0

    def init_transactions(self, timeout_s):
        """Fence the others."""

    def begin_transaction(self):
        """Begin."""

    def produce(self, *args):
        """Queue a record."""

    def poll(self, timeout_s):
        """Run no callbacks."""

    def commit_transaction(self, timeout_s):
        error = self.commits.pop(0) if len(self.commits) > 1 else self.commits[0]
        if error is not None:
            raise KafkaException(error)

    def abort_transaction(self, timeout_s):
        self.n_aborted += 1
        if self.abort is not None:
            raise KafkaException(self.abort)


class Stopped(Clock):
    """A clock whose event is set as soon as somebody waits."""

    def wait(self, seconds):
        return True


def send(monkeypatch, client, clock):
    monkeypatch.setattr("streams.kafka.transactional_producer.ConfluentProducer", lambda config: client)
    patience = Patience(20.0, clock, now=clock.now)
    settings = KafkaSettings(bootstrap_servers="nowhere:1")
    TransactionalProducer(settings, "id", patience).send_all([Output("models", b"1", b"pointer")])


@pytest.mark.parametrize(
    ("commits", "abort", "kind"),
    [
        ([TOO_LARGE], None, DeliveryError),  # aborted
        ([FENCED], None, DeliveryError),  # refused at the first try
        ([SLOW, TOO_LARGE], None, DeliveryError),
        ([SLOW], BUSY, UnconfirmedError),
        ([SLOW, FENCED], None, UnconfirmedError),  # the first try may have been made all the same
    ],
)
def test_a_commit_that_failed_is_unconfirmed_unless_nothing_can_have_been_written(
    monkeypatch, commits, abort, kind
):
    with pytest.raises(DeliveryError) as caught:
        send(monkeypatch, Client(commits, abort), Clock())
    assert type(caught.value) is kind
    assert ("it is not known whether" in str(caught.value)) is (kind is UnconfirmedError)


def test_a_stop_between_two_tries_of_a_commit_does_not_say_that_nothing_was_published(monkeypatch):
    with pytest.raises(StoppedError, match="it is not known whether the transaction was committed"):
        send(monkeypatch, Client([SLOW]), Stopped())


def test_a_commit_that_is_answered_late_is_a_commit(monkeypatch):
    client = Client([SLOW, SLOW, None])
    send(monkeypatch, client, Clock())
    assert client.n_aborted == 0
