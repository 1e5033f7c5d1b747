"""A record with a header name that is not UTF-8 ends no role and no tool, on any topic, as real bytes."""

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from streams import topics
from streams.kafka import Admin, Consumer, Partition
from streams.kafka.dead_letters import dead_letter
from streams.kafka.records import Record, to_record
from streams.messages import DECODERS
from streams.metrics import DEAD_LETTER_RECORDS
from streams.settings import ObserverSettings, TrainerSettings
from streams.trainer import serve
from tests.chaos.oracle import original_position
from tests.streams.brokers import ROOT, eventually, free_ports
from tests.streams.cli.running import dch
from tests.streams.foreign_headers import NAME, foreign_producer
from tests.streams.messages.records import decoded
from tests.streams.worker.conftest import world
from tests.streams.world import environ, is_ready, worker

__all__ = ["dch", "world"]
VALUES = {
    "ratings": {"user": "u1", "item": "i1", "rating": 5.0, "timestamp": 1_700_000_000_000},
    "users": {"age": 30},
    "items": {"title": "One"},
    "requests": {"user": "u1"},
}


def test_a_message_whose_headers_cannot_be_read_is_asked_for_them_once_and_is_a_bad_record():
    asked = []

    def headers():
        asked.append(1)
        raise SystemError("returned a result with an exception set") from UnicodeDecodeError(
            "utf-8", NAME, 3, 4, "unexpected end of data"
        )

    given = {"topic": "ratings", "partition": 1, "offset": 7, "key": b"u1", "value": b"{}"}
    message = {name: lambda value=value: value for name, value in given.items()}
    record = to_record(SimpleNamespace(**message, timestamp=lambda: (1, 1000), headers=headers))
    assert record == Record(
        "ratings", 1, 7, b"u1", b"{}", 1000, (), "expected names in UTF-8, got b'caf\\xe9'"
    )
    assert len(asked) == 1


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("value", [b"{}", b"", None])
def test_every_decoder_refuses_a_record_whose_headers_cannot_be_read(name, value):
    value = json.dumps(VALUES[name]).encode() if value and name in VALUES else value
    found = decoded(DECODERS[name], Record(name, 0, 1, b"u1", value, 1000, (), "expected names in UTF-8"))
    assert (found.field, found.reason) == ("headers", "header")


def test_its_dead_letter_has_its_key_and_value_but_none_of_its_headers():
    record = Record("users", 0, 1, b"u1", None, 1000, (), "expected names in UTF-8")
    letter = dead_letter(record, decoded(DECODERS["users"], record), group="worker")
    assert (letter.key, letter.value) == (b"u1", None)
    assert all(name.startswith("kafka_dlt-") for name, _ in letter.headers)
    assert dict(letter.headers)["kafka_dlt-exception-message"].endswith(b"headers: expected names in UTF-8")


def is_utf8(name):
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_a_consumer_returns_records_with_any_names_and_says_of_which_it_cannot_read_them(settings):
    """Most come after many good ones: then the interpreter calls methods in a way that overlooks errors."""
    rng = random.Random(1)
    names = [(b"name",)] * 500 + [(b"name", b"\xff", NAME), (b"\xff",), ()]
    names += [
        tuple(bytes(rng.choice(b"ab\xc3\xa9\xff\xf0") for _ in range(rng.randrange(5))) for _ in range(n))
        for n in (rng.randrange(4) for _ in range(500))
    ]
    Admin(settings).create([topics.NewTopic(topic := settings.prefix + "any", 1, 1)])
    with foreign_producer(settings.bootstrap_servers) as send:
        for at, found in enumerate(names):
            send(topic, 0, b"k", str(at).encode() if at % 3 else None, found)
    consumer, place = Consumer(settings, group=settings.prefix + "g", start="earliest"), Partition(topic, 0)
    try:
        consumer.assign({place: 0})
        records = []
        eventually(lambda: records.extend(consumer.poll()) or len(records) == len(names))
    finally:
        consumer.close()
    for at, (record, found) in enumerate(zip(records, names, strict=True)):
        assert record.value == (str(at).encode() if at % 3 else None)
        assert (record.fault is None) == all(map(is_utf8, found)), found
        readable = [] if record.fault else [(name.decode(), b"x") for name in found]
        assert list(record.headers) == readable


def send_to_every_topic(world):
    """Send such a record to each partition of every topic; return how many each topic got."""
    sent = Counter()
    with foreign_producer(world.settings.bootstrap_servers) as send:
        for topic in topics.EVERY_TOPIC:
            value = json.dumps(VALUES.get(topic.name, {})).encode()
            for partition in range(world.settings.partitions if topic.is_sharded else 1):
                send(world.topic(topic.name), partition, b"u1", value)
                sent[topic.name] += 1
    return sent


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
def test_it_ends_no_role_and_no_tool_on_any_topic_and_each_one_becomes_a_dead_letter(world, dch, tmp_path):
    sent = send_to_every_topic(world)
    model, stop = world.publish(), threading.Event()
    of_trainer = world.settings.as_role(TrainerSettings, metrics_port=free_ports(2), refit_ratings=0)
    of_observer = world.settings.as_role(ObserverSettings, metrics_port=free_ports(2))
    command = [sys.executable, "-m", "streams", "observer"]
    with (
        ThreadPoolExecutor(1) as pool,
        worker(world.settings) as running,
        (tmp_path / "observer.log").open("w") as log,
        subprocess.Popen(command, cwd=ROOT, env=environ(of_observer), stderr=log) as observer,
    ):
        trainer = pool.submit(serve, of_trainer, stop)
        try:
            eventually(lambda: is_ready(of_trainer.metrics_port) and is_ready(of_observer.metrics_port), 60)
            sent.update(send_to_every_topic(world))
            world.rate(("u1", model.item_ids[0], 5.0))
            eventually(lambda: world.ask("u1").ratings == 1)
            expected = {topic.name: sent[topic.name] for topic in topics.TOPICS if topic.has_dead_letters}
            expected["requests"] //= 2  # a new group answers those from its start on
            await_letters(world, expected)
            label = DEAD_LETTER_RECORDS.labels("ratings")
            eventually(lambda: label._value.get() == 2 * sent["ratings"], 60)
            servers = [
                "--bootstrap-servers",
                world.settings.bootstrap_servers,
                "--prefix",
                world.settings.prefix,
            ]
            for arguments in (
                *(["tail", topic.name, "-n", 50] for topic in topics.EVERY_TOPIC),
                ["status"],
                ["models", "list", "--artifacts", world.settings.artifacts],
                ["inspect", "user", "u1"],
                ["inspect", "item", model.item_ids[0]],
            ):
                ran = dch(*arguments, *servers)
                assert (ran.code, "Traceback" in ran.err) == (0, False), ran.err
                if arguments[:2] == ["tail", "ratings"]:
                    assert sum("headers_fault" in json.loads(line) for line in ran.out.splitlines()) > 0
            assert running.is_ready()
            assert not trainer.done()
            assert observer.poll() is None, (tmp_path / "observer.log").read_text()
        finally:
            stop.set()
            observer.terminate()
        trainer.result(30)
    assert observer.returncode == 0
    served = world.topic("served")  # the observer reads the last record before such a one again
    assert {
        position for position, n in letters_of(world).items() if n > 1 and served not in position
    } == set()


def await_letters(world, expected):
    """Wait until so many records of each topic have dead letters."""

    def found():
        of_topics = (position.rpartition("[")[0] for position in letters_of(world))
        counts = Counter(topic.removeprefix(world.settings.prefix) for topic in of_topics)
        return counts == expected or print(counts, file=sys.stderr)  # shown if it fails

    eventually(found, 60, every_s=0.5)


def letters_of(world):
    """Count the dead letters that the roles wrote, by the record that each is about."""
    names = [topic.dead_letters.name for topic in topics.TOPICS if topic.has_dead_letters]
    records = [record for name in names for record in world.read_all(name) if record.fault is None]
    return Counter(map(original_position, records))
