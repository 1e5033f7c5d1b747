"""What is retried, for how long, and what is said about it. The clients are fakes; the clock is ours."""

import logging
import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.errors import BrokerRefusedError, BrokerUnavailableError, StoppedError
from streams.kafka import broker_errors
from streams.kafka.broker_errors import KIND_OF, Right, kind_of
from streams.kafka.patience import Patience, ask_metadata, retry
from streams.kafka.problems import LIMIT, LOG_INTERVAL_S, LogLimit, Problems
from streams.metrics import BROKER_ERRORS
from streams.settings import KafkaSettings

SETTINGS = KafkaSettings(bootstrap_servers="kafka:9092", kafka={"sasl.username": "worker"})
GROUP_MOVES = KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, "coordinator load in progress")
LOST = KafkaError(KafkaError._TRANSPORT, "kafka:9092/1: Connection refused")
WRONG_PASSWORD = KafkaError(KafkaError._AUTHENTICATION, "SASL authentication error: invalid credentials")
BAD_CERTIFICATE = KafkaError(KafkaError._SSL, "SSL handshake failed: certificate verify failed")
NO_RIGHT = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed")


class Clock:
    """A clock that moves when somebody waits, and an event that is never set."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return self.seconds

    def wait(self, seconds):
        self.seconds += seconds
        return False

    def is_set(self):
        return False


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def patience(clock):
    return Patience(300.0, clock, now=clock.now)


def failing(clock, times, error, took_s=0.0):
    """Return a request that fails some times and then returns how often it was asked."""
    asked = []

    def request(timeout_s):
        asked.append(timeout_s)
        clock.seconds += min(took_s, timeout_s)
        if len(asked) <= times:
            raise KafkaException(error)
        return len(asked)

    request.asked = asked
    return request


@pytest.mark.parametrize("code", sorted(KIND_OF))
def test_every_code_of_a_broker_that_moves_or_is_away_is_retried_and_no_other(clock, patience, code):
    request = failing(clock, 3, KafkaError(code))
    if KIND_OF[code] in (broker_errors.UNREACHABLE, broker_errors.MOVING):
        assert retry(request, patience, Problems(SETTINGS)) == 4
    else:
        with pytest.raises((BrokerRefusedError, BrokerUnavailableError)):
            retry(request, patience, Problems(SETTINGS))
        assert len(request.asked) == 1


def test_a_request_to_a_broker_that_leaves_the_metadata_is_retried(clock, patience):
    text = "Failed to get offsets: Local: Broker handle destroyed without termination"
    request = failing(clock, 3, KafkaError(KafkaError._DESTROY_BROKER, text))
    assert retry(request, patience, Problems(SETTINGS)) == 4


def test_an_unknown_error_is_not_retried(clock, patience):
    request = failing(clock, 3, KafkaError(KafkaError.INVALID_CONFIG, "no such config"))
    with pytest.raises(BrokerUnavailableError, match="refused: no such config"):
        retry(request, patience, Problems(SETTINGS))


def test_retries_come_with_growing_pauses_and_end_after_the_limit(clock, patience):
    request = failing(clock, 10**6, LOST)
    with pytest.raises(BrokerUnavailableError, match=r"no broker at kafka:9092 answered within 300 s"):
        retry(request, patience, Problems(SETTINGS))
    assert 300 <= clock.seconds < 310
    assert 100 < len(request.asked) < 200  # 0.1, 0.2, 0.4 ... 2 s apart


def test_a_request_that_hangs_is_asked_again_with_more_time_but_never_beyond_the_limit(clock, patience):
    request = failing(clock, 10**6, KafkaError(KafkaError._TIMED_OUT), took_s=3600)
    with pytest.raises(BrokerUnavailableError):
        retry(request, patience, Problems(SETTINGS))
    assert request.asked[:3] == [3.0, 6.0, 10.0]
    assert clock.seconds <= 301


def test_a_thread_that_waits_for_a_request_can_be_seen(patience):
    name = threading.current_thread().name
    assert retry(lambda timeout_s: name in patience.calling, patience, Problems(SETTINGS))
    assert not patience.calling


def test_a_process_that_is_told_to_stop_does_not_wait_any_longer(clock):
    stop = threading.Event()
    stop.set()
    request = failing(clock, 10**6, GROUP_MOVES)
    with pytest.raises(StoppedError):
        retry(request, Patience(300.0, stop), Problems(SETTINGS))
    assert len(request.asked) == 1


@pytest.mark.parametrize(
    ("reported", "sentence"),
    [
        (
            WRONG_PASSWORD,
            "authentication at kafka:9092 failed for user 'worker': .*invalid credentials; check",
        ),
        (BAD_CERTIFICATE, "no TLS connection to kafka:9092: .*certificate verify failed; check"),
    ],
)
def test_a_client_that_no_broker_lets_in_says_so_at_once(clock, patience, reported, sentence):
    problems = Problems(SETTINGS)

    def serve():
        problems(reported)
        problems(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))

    request = failing(clock, 10**6, KafkaError(KafkaError._TRANSPORT, "Failed to get metadata"))
    with pytest.raises(BrokerRefusedError, match=sentence):
        retry(request, patience, problems, serve=serve)
    assert len(request.asked) == 1


def test_a_client_that_was_in_before_retries_until_the_limit(clock, patience):
    problems = Problems(SETTINGS)
    retry(failing(clock, 0, LOST), patience, problems)
    problems(WRONG_PASSWORD)
    assert retry(failing(clock, 5, LOST), patience, problems) == 6
    problems(WRONG_PASSWORD)
    with pytest.raises(BrokerRefusedError, match="authentication"):
        retry(failing(clock, 10**6, LOST), patience, problems)
    assert clock.seconds >= 300


def test_a_missing_right_is_named_with_the_command_that_grants_it(clock, patience):
    right = Right("Read", "topic", "shop-ratings")
    with pytest.raises(BrokerRefusedError) as caught:
        retry(failing(clock, 1, NO_RIGHT), patience, Problems(SETTINGS), right=right)
    assert "user 'worker' lacks the right Read on topic shop-ratings at kafka:9092 (TOPIC_AUTH" in str(
        caught.value
    )
    assert str(caught.value).endswith("--allow-principal User:worker --operation Read --topic shop-ratings")


class Metadata:
    """A client whose broker answers or not."""

    def __init__(self):
        self.is_up = True

    def list_topics(self, timeout):
        if not self.is_up:
            raise KafkaException(LOST)
        return "metadata"


def test_a_broker_is_away_from_the_first_question_without_an_answer_to_the_next_with_one(clock, patience):
    client = Metadata()
    patience.suspect()
    assert patience.is_reachable  # suspected, not known
    client.is_up = False
    with pytest.raises(KafkaException):
        ask_metadata(client, patience, 1.0)
    clock.seconds += 5
    assert not patience.is_reachable
    assert patience.away_s == 5
    client.is_up = True
    assert ask_metadata(client, patience, 1.0) == "metadata"
    assert (patience.is_reachable, patience.is_suspect, patience.away_s) == (True, False, 0)


def test_one_line_a_second_is_logged_of_each_cause_and_every_error_is_counted(monkeypatch, caplog, clock):
    monkeypatch.setattr("streams.kafka.problems.LIMIT", LogLimit(clock.now))
    clients = [Problems(SETTINGS) for _ in range(8)]
    before = BROKER_ERRORS.labels("unreachable")._value.get()
    with caplog.at_level(logging.INFO, "streams.kafka"):
        for _ in range(176):  # 22 s, each client eight times a second
            clock.seconds += 0.125
            for client in clients:
                client(LOST)
                client.log(logging.ERROR, "%s [%s] %s", "FAIL", "dch#consumer-1", LOST.str())
                client.log(logging.WARNING, "%s [%s] %s", "REQTMOUT", "dch#consumer-1", "timed out")
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if "kind=unreachable" in line]) == 22
    assert len([line for line in lines if "REQTMOUT" in line]) == 22
    assert len(lines) == 44
    assert "(and 63 more since the last line)" in lines[-1]
    assert BROKER_ERRORS.labels("unreachable")._value.get() == before + 176 * 8


def test_causes_do_not_hold_back_each_other():
    limit = LogLimit(lambda: 0.0)
    assert limit.held_before("a") == 0
    assert limit.held_before("a") is None
    assert limit.held_before("b") == 0
    assert LIMIT is not limit
    assert LOG_INTERVAL_S == 1.0


def test_a_lost_connection_in_a_tls_handshake_is_a_tls_problem():
    text = "SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?"
    assert kind_of(KafkaError(KafkaError._TRANSPORT, text)) == "tls"
    assert kind_of(LOST) == "unreachable"


def test_a_broker_that_closes_every_connection_at_the_first_request_hints_at_tls(clock, patience):
    problems = Problems(SETTINGS)
    line = (
        "kafka:9092/bootstrap: Disconnected: connection closed by peer (after 3ms in state APIVERSION_QUERY)"
    )
    problems.log(logging.INFO, "%s [%s] %s", "FAIL", "dch#producer-1", line)
    with pytest.raises(BrokerUnavailableError, match="does it expect TLS"):
        retry(failing(clock, 10**6, LOST), patience, problems)
