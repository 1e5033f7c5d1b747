"""``dch tail`` prints the newest records; ``dch status`` what topics hold and how far workers are."""

import json
import re
from contextlib import contextmanager

import confluent_kafka as kafka
import pytest

from streams.errors import BadRecord, BrokerRefusedError
from streams.kafka.dead_letters import dead_letter
from streams.messages import RatingEvent, encode_model_pointer, encode_rating
from streams.settings import WorkerSettings
from streams.topics import EVERY_TOPIC
from tests.streams.brokers import eventually
from tests.streams.cli.running import dch
from tests.streams.messages.records import record
from tests.streams.trainer.test_refits import pointer
from tests.streams.world import World

__all__ = ["dch"]


@pytest.fixture
def broker(embedded):
    return embedded


@pytest.fixture
def world(settings, tmp_path):
    found = World(settings.as_role(WorkerSettings, artifacts=str(tmp_path / "store")), tmp_path)
    yield found
    found.close()


@pytest.fixture
def run(dch, world):
    """Run a command on the topics of the world."""

    def on_world(*arguments):
        servers = ["--bootstrap-servers", world.settings.bootstrap_servers, "--prefix", world.settings.prefix]
        ran = dch(*arguments, *servers)
        assert ran.code == 0, ran.err
        return ran.out

    return on_world


def test_the_newest_records_are_printed_oldest_first(world, run):
    for at in range(6):
        value = encode_rating(RatingEvent("u1", f"i{at}", 4.0, 1_700_000_000_000 + at))
        world.send("ratings", "u1", value, timestamp_ms=1_700_000_000_000 + at)
    lines = [json.loads(line) for line in run("tail", "ratings", "-n", 3).splitlines()]
    assert [line["value"]["item"] for line in lines] == ["i3", "i4", "i5"]
    assert lines[0]["time"] == "2023-11-14T22:13:20.003+00:00"
    assert re.fullmatch(r".*ratings\[\d\]@3", lines[0]["position"])


def test_an_empty_topic_prints_nothing(run):
    assert run("tail", "ratings-dlt") == ""


def test_an_unknown_topic_is_refused_with_those_that_exist(dch):
    ran = dch("tail", "rating")
    assert ran.code == 2
    assert "there is no topic 'rating'; topics are ratings, users" in ran.err


def test_a_dead_letter_says_where_its_record_is():
    from streams.cli.log_tools import as_json

    bad = record(b"{", topic="ratings", partition=3, offset=2163, timestamp_ms=1_700_000_000_123)
    letter = dead_letter(bad, BadRecord("value", "expected JSON", reason="json"), group="worker")
    headers = as_json(record(letter.value, headers=letter.headers))["headers"]
    assert headers["kafka_dlt-original-partition"] == 3
    assert headers["kafka_dlt-original-offset"] == 2163
    assert headers["kafka_dlt-original-timestamp"] == 1_700_000_000_123
    assert headers["kafka_dlt-original-topic"] == "ratings"
    odd = record(b"{", headers=[("kafka_dlt-original-offset", b"\xff" * 2000)])
    assert as_json(odd)["headers"] == {"kafka_dlt-original-offset": "ff" * 2000}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(b'{"a": 1}', {"a": 1}), (b"no json", "no json"), (b"\xff\x00", "ff00"), (None, None)],
)
def test_any_value_is_shown(value, shown):
    from streams.cli.log_tools import as_json

    assert as_json(record(value, key=b"\xfe", headers=[("h", b"v")])) == {
        "position": "ratings[0]@0",
        "time": "1970-01-01T00:00:01.000+00:00",
        "key": "fe",
        "value": shown,
        "headers": {"h": "v"},
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, None),
        (b"[" * 500 + b"]" * 500, None),
        (rb'{"a":"\ud800"}', None),
        (b'{"\xed\xa0\x80":1}', "7b22eda080223a317d"),
        (b"[" * 32 + b"]" * 32, json.loads("[" * 32 + "]" * 32)),
    ],
    ids=["3000 objects", "500 lists", "escaped half pair", "half pair", "32 lists"],
)
def test_a_value_that_no_role_takes_is_printed_as_its_text_or_in_hexadecimal(value, shown):
    """None: its text."""
    from streams.cli.log_tools import as_json

    line = json.dumps(as_json(record(value)), ensure_ascii=False).encode()
    assert json.loads(line)["value"] == (value.decode() if shown is None else shown)


class Models:
    """A consumer of a topic that holds these values."""

    def __init__(self, *values):
        self.records = [record(value, topic="models", offset=at) for at, value in enumerate(values)]
        self.is_read = False

    def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions):
        return dict.fromkeys(partitions, len(self.records))

    def assign(self, starts):
        (start,) = starts.values()
        self.records = self.records[start:]

    def poll(self):
        self.is_read = True
        return self.records

    def position(self, partition):
        return self.records[-1].offset + 1 if self.is_read else None

    def is_at_end(self, partition):
        return self.is_read


def test_the_status_finds_the_newest_model_behind_any_number_of_bad_records():
    from streams.cli.status import _newest_pointer

    sent = pointer(7, seen=100)
    found = _newest_pointer(Models(encode_model_pointer(sent), *[b"bad"] * 50), WorkerSettings(prefix=""))
    assert found == sent


@pytest.mark.parametrize("time_ms", [1_700_000_000_000_000, 2**63 - 1, -(2**63), 253_402_300_800_000])
def test_a_time_that_no_calendar_has_is_shown_as_its_number(time_ms):
    from streams.cli.log_tools import as_json
    from streams.cli.texts import time_text

    assert as_json(record(b"{}", timestamp_ms=time_ms))["time"] == time_text(time_ms) == str(time_ms)


def test_a_record_stamped_in_microseconds_hides_no_other_record(world, run):
    for at, time_ms in enumerate([1_700_000_000_000, 1_700_000_000_000_000]):
        world.send("requests", f"u{at}", b"{}", timestamp_ms=time_ms)
    lines = [json.loads(line) for line in run("tail", "requests").splitlines()]
    assert [line["time"] for line in lines] == ["2023-11-14T22:13:20.000+00:00", "1700000000000000"]


def test_the_status_counts_what_workers_have_not_applied(world, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    found = run("status")
    assert "no model was published yet" in found
    assert f"{len(EVERY_TOPIC)} empty topics are left out" in found
    world.rate(("u1", "i1", 5), ("u1", "i2", 4), ("u2", "i1", 3))
    world.publish()
    world.publish()
    found = run("status")
    owner = world.owner_of("u1")
    n_worst = 3 if world.owner_of("u2") == owner else 2
    assert re.search(rf"ratings +│ 4 +│ 3 +│ 3 +│ {owner}: {n_worst}", found), found
    assert re.search(r"newest model: generation \d+ at .*store", found)
    assert found.count("s: none\n") == 3  # the world has no processes


def test_the_status_names_the_processes_of_each_role_and_what_they_share(world, run):
    settings = world.settings
    mine = [settings.topic(name) for name in ("ratings", "users", "item-ratings")]
    shares = {"worker": [mine, mine], "observer": [[settings.topic("served")]]}
    names = [(f"{settings.prefix}{role}", one) for role, each in shares.items() for one in each]
    with members(settings, names):
        eventually(lambda: "workers: 2, with partitions of" in run("status"))
        found = run("status")
    assert "workers: 2, with partitions of ratings: 2, 2\n" in found
    assert "observers: 1, with partitions of served: 4\n" in found
    assert "trainers: none\n" in found


@contextmanager
def members(settings, groups):
    """Be a member of each of these groups, with its topics, until all of them have their partitions."""
    found = []
    for group, names in groups:
        config = {"bootstrap.servers": settings.bootstrap_servers, "group.id": group}
        one = kafka.Consumer(config | {"partition.assignment.strategy": "cooperative-sticky"})
        one.subscribe(names)
        found.append(one)

    def are_assigned():
        for one in found:
            one.poll(0.05)
        return sorted(len(one.assignment()) for one in found) == [4, 6, 6]

    try:
        eventually(are_assigned, 60)
        yield
    finally:
        for one in found:
            one.close()


def test_a_role_whose_group_may_not_be_looked_at_is_unknown():
    from streams.cli.status import _role_line

    found = _role_line("trainer", BrokerRefusedError("user 'u' lacks the right"))
    assert found == "trainers: unknown; user 'u' lacks the right"


def test_the_status_of_a_broker_without_topics_says_how_to_create_them(dch, embedded, prefix):
    ran = dch("status", "--bootstrap-servers", embedded, "--prefix", prefix)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith(f"missing; run: dch topics create --prefix {prefix}\n")
    assert len(ran.err.splitlines()) == 1, ran.err
