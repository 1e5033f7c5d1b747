"""One worker serves clients of several kinds: ratings go in, up-to-date lists come out."""

import asyncio
import json
import os
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer as ForeignProducer
from random_models import random_feature_codes, random_lifts, random_model

from streams.client import RecommendClient
from streams.errors import ReplyTimeout
from streams.kafka.records import header
from streams.messages import ErrorReply, RatedItem, RecommendRequest, decode_reply, request_headers
from streams.metrics import REQUESTS_EXPIRED
from streams.settings import ClientSettings, WorkerSettings
from tests.streams.brokers import ROOT, eventually, free_ports
from tests.streams.world import BASE_MS, SETTINGS, World, worker

ITEMS = [f"i{row}" for row in range(8)]
MODEL = random_model(
    bits=64,
    hidden=64,
    item_tokens=["genres=a"],
    user_tokens=["age=25", "age~20", "age=60"],
    lifts=random_lifts(),
    feature_codes=random_feature_codes(1, 76),
)
TITLES = {item: {"title": f"The {item}", "genres": ["a"]} for item in ITEMS}


@pytest.fixture(scope="module")
def world(broker, tmp_path_factory):
    """A world with a worker that has applied a few ratings; each test uses other users."""
    folder = tmp_path_factory.mktemp("world")
    settings = WorkerSettings(
        bootstrap_servers=broker,
        prefix=f"t{uuid.uuid4().hex[:10]}-",
        artifacts=str(folder / "store"),
        metrics_port=free_ports(2),
        **SETTINGS,
    )
    found = World(settings, folder)
    found.publish(MODEL)
    found.describe("items", TITLES)
    found.rate(*((f"u{u}", item, 1 + (u + i) % 5) for u in range(6) for i, item in enumerate(ITEMS)))
    with worker(settings):
        yield found
    found.close()


def code_of(world, user):
    return world.ask(user, k=5).code


def wait_for(world, user, not_code=None):
    """Wait until the user has a code that differs from ``not_code``."""
    return eventually(lambda: (code := code_of(world, user)) and code != not_code and code)


def test_a_new_users_list_changes_with_each_rating(world):
    before = world.ask("new", k=5)
    assert before.strategy == "popular"
    assert len(before.items) == 5
    assert before.code is None
    world.rate(("new", "i0", 5))
    code = wait_for(world, "new")
    after = world.ask("new", k=8)
    assert after.strategy == "codes+rerank"
    assert sorted(hit.item for hit in after.items) == ITEMS[1:]
    world.rate(("new", "i1", 5))
    wait_for(world, "new", not_code=code)
    assert sorted(world.items_for("new", k=8)) == ITEMS[2:]
    assert sorted(world.items_for("new", k=8, include_rated=True)) == ITEMS


def test_newcomers_of_different_age_get_the_lists_of_the_library_until_they_rate(world):
    ages = {"young": {"age": 25}, "old": {"age": "60"}}
    world.describe("users", ages)
    library, lists = world.expected(MODEL, TITLES), {}
    for user, features in ages.items():
        library.state.set_user(user, features)
        hits = [(hit.item, hit.distance, hit.score) for hit in library.recommend(user, 8)]

        def has_features_and_the_newest_popularity(user=user, hits=hits):
            lists[user] = world.ask(user, k=8)
            return [(hit.item, hit.distance, hit.score) for hit in lists[user].items] == hits

        eventually(has_features_and_the_newest_popularity)
        assert (lists[user].strategy, lists[user].code, lists[user].ratings) == ("features", None, 0)
    assert [hit.item for hit in lists["young"].items] != [hit.item for hit in lists["old"].items]
    world.rate(("young", "i0", 5))
    wait_for(world, "young")
    assert world.ask("young").strategy == "codes+rerank"
    assert world.ask("young", strategy="features").strategy == "features"


def test_a_reply_has_every_field_of_the_contract(world):
    reply = world.ask("u1", k=3, include_rated=True)
    assert (reply.user, reply.generation, len(bytes.fromhex(reply.code))) == ("u1", 1, 8)
    assert [hit.title for hit in reply.items] == [f"The {hit.item}" for hit in reply.items]
    assert 0 <= reply.staleness_s < 600
    assert all(0 <= hit.distance <= 64 for hit in reply.items)


def test_a_reply_counts_the_ratings_that_it_rests_on(world):
    assert world.ask("counted").ratings == 0
    world.rate(("counted", "i0", 5))
    eventually(lambda: world.ask("counted").ratings == 1)
    world.rate(("counted", "i0", 4, 2000), ("counted", "an item that no fit saw", 4, 2001))
    eventually(lambda: world.ask("counted").ratings == 2)
    world.rate(("counted", "i0", None, 3000))
    reply = eventually(lambda: (found := world.ask("counted")).ratings == 1 and found)
    assert (reply.strategy, reply.code) == ("popular", None)
    history = (RatedItem("i0", 5), RatedItem("i1", 5), RatedItem("i1", 4))
    assert world.ask(history=history).ratings == 2
    assert world.ask(similar_to="i2").ratings is None


def test_a_request_may_name_a_history_or_an_item_and_filters(world):
    history = (RatedItem("i0", 5),)
    assert "i0" not in world.items_for(history=history, k=8)
    assert world.items_for(history=history, k=8, only=("i3", "i4"), exclude=("i4",)) == ["i3"]
    assert "i2" not in world.items_for(similar_to="i2", k=8)
    assert "has no code" in world.ask(similar_to="never seen").error


def test_an_unavailable_item_is_not_recommended_until_it_is_available_again(world):
    assert "i7" in world.items_for("u1", k=8, include_rated=True)
    world.describe("items", {"i7": TITLES["i7"] | {"available": False}})
    eventually(lambda: "i7" not in world.items_for("u1", k=8, include_rated=True))
    world.describe("items", {"i7": TITLES["i7"]})
    eventually(lambda: "i7" in world.items_for("u1", k=8, include_rated=True))


def test_an_item_of_which_only_features_are_known_has_the_place_that_the_library_gives_it(world):
    described = {"described": {"title": "New", "genres": ["a"]}}
    world.describe("items", described)
    library = world.expected(MODEL, TITLES | described)
    wanted = [hit for hit in library.recommend("u1", 9, include_rated=True) if hit.item == "described"]
    assert wanted[0].distance is not None

    def has_the_place():
        hits = [hit for hit in world.ask("u1", k=9, include_rated=True).items if hit.item == "described"]
        return [(hit.distance, hit.score) for hit in hits] == [(hit.distance, hit.score) for hit in wanted]

    eventually(has_the_place)
    world.send("items", "described", None)
    eventually(lambda: "described" not in world.items_for("u1", k=9, include_rated=True))


def test_a_tombstone_forgets_a_user_on_both_sides(world):
    ratings = [("forget me", item, 5) for item in ITEMS[:4]]
    world.rate(*ratings)
    wait_for(world, "forget me")
    eventually(lambda: world.item_codes() == world.expected(MODEL, TITLES).item_codes())
    world.send("users", "forget me", None)
    eventually(lambda: code_of(world, "forget me") is None)
    gone = [{"user": "forget me", "item": item, "rating": None} for _, item, _ in ratings]
    withdrawn = [json.loads(found.value) for found in world.read_all("ratings")]
    assert all(any(found | left == found for found in withdrawn) for left in gone)
    eventually(lambda: world.item_codes() == world.expected(MODEL, TITLES).item_codes())
    assert len(world.items_for("forget me", k=8)) == 8


@pytest.mark.parametrize(("user", "key"), [("quoted", b'"quoted"'), ("77", (77).to_bytes(8, "big"))])
def test_a_user_is_forgotten_however_the_key_is_serialized_and_may_come_back(world, user, key):
    world.rate((user, "i0", 5))
    wait_for(world, user)
    world.send("users", key, None)
    eventually(lambda: code_of(world, user) is None)
    value = {"user": user, "item": "i1", "rating": 5, "timestamp": int(time.time()) + 60}  # in seconds
    world.send("ratings", user, json.dumps(value))
    wait_for(world, user)


def test_ten_kinds_of_malformed_records_become_ten_dead_letters_and_the_rest_is_applied(world):
    good = '{"user": "good", "item": "i%d", "rating": 5}'
    bad = {
        "not JSON": b"{user: u1}",
        "not UTF-8": b"\xff\xfe\xfd",
        "not an object": b"[1, 2, 3]",
        "a tombstone": None,
        "no user": b'{"item": "i1", "rating": 4}',
        "an item of the wrong type": b'{"user": "u1", "item": ["i1"], "rating": 4}',
        "an id that is too long": json.dumps({"user": "u" * 300, "item": "i1", "rating": 4}).encode(),
        "a rating that is not a number": b'{"user": "u1", "item": "i1", "rating": "four"}',
        "a rating that is not finite": b'{"user": "u1", "item": "i1", "rating": NaN}',
        "a time before 1970": b'{"user": "u1", "item": "i1", "rating": 4, "timestamp": -5}',
    }
    for at, value in enumerate(bad.values()):
        world.send("ratings", "good", value)
        world.send("ratings", "good", good % (at % 8))
    letters = eventually(lambda: len(found := world.read_all("ratings-dlt")) >= 10 and found)
    assert [letter.value for letter in letters] == list(bad.values())
    reasons = [header(letter.headers, "kafka_dlt-exception-message").decode() for letter in letters]
    faults = ["JSON", "value", "object", "tombstone", "user", "item", "256", "rating", "finite", "timestamp"]
    for reason, fault in zip(reasons, faults, strict=True):
        assert fault in reason
        assert reason.startswith(f"{world.topic('ratings')}[{world.owner_of('good')}]@")
    topic = world.topic("ratings").encode()
    assert all(header(letter.headers, "kafka_dlt-original-topic") == topic for letter in letters)
    eventually(lambda: world.items_for("good", k=8) == [])
    ends = len([one for one in world.read_all("ratings") if one.partition == world.owner_of("good")])
    eventually(lambda: world.committed("ratings")[world.owner_of("good")] == ends)


def test_bad_records_of_the_other_topics_become_dead_letters_too(world):
    world.send("users", b"\xff", "{}")  # brokers refuse records without keys on compacted topics
    world.send("items", "i1", "not JSON")
    world.send("item-codes", "i1", '{"generation": 1}')
    world.send("item-ratings", "i1", '{"user": "u1"}')
    world.send("models", "model", '{"generation": "one"}')
    for name in ("users", "items", "item-codes", "item-ratings", "models"):
        eventually(lambda name=name: len(world.read_all(f"{name}-dlt")) == 1)


def test_ratings_reach_their_user_whatever_partitioner_their_producer_uses(world):
    settings = {"bootstrap.servers": world.settings.bootstrap_servers, "partitioner": "consistent_random"}
    foreign = ForeignProducer(settings)
    topic = world.topic("ratings")
    for user in (users := [f"foreign{n}" for n in range(12)]):
        for at, item in enumerate(ITEMS[:3]):
            value = json.dumps({"user": user, "item": item, "rating": 5, "timestamp": BASE_MS + at})
            foreign.produce(topic, value, key=None if at == 2 else user)
    foreign.flush()
    for user in users:
        eventually(lambda user=user: sorted(world.items_for(user, k=8)) == ITEMS[3:])
    repartitioned = [found for found in world.read_all("ratings") if header(found.headers, "dch-forwarded")]
    assert repartitioned  # this partitioner puts some keys into other partitions than Java's


def test_a_rating_sent_by_aiokafka_is_applied(world):
    async def rate():
        async with AIOKafkaProducer(bootstrap_servers=world.settings.bootstrap_servers) as producer:
            value = json.dumps({"user": "aio", "item": "i0", "rating": 5}).encode()
            await producer.send_and_wait(world.topic("ratings"), value, key=b"aio")

    asyncio.run(rate())
    wait_for(world, "aio")
    assert "i0" not in world.items_for("aio", k=8)


def test_a_spring_client_gets_its_reply(world, tmp_path):
    script = Path(os.environ.get("SPRING_ASK", ROOT / ".." / "shared" / "spring" / "ask")).resolve()
    if not script.exists():
        pytest.skip(f"no Spring client at {script}: set SPRING_ASK to one")
    properties = tmp_path / "client.properties"
    properties.write_text(f"bootstrap.servers={world.settings.bootstrap_servers}\n")
    asked = 'u1\t{"user":"u1","k":3,"include_rated":true}\nu2\t{"user":"u2","k":3,"include_rated":true}\n'
    done = subprocess.run(
        [script, properties, world.topic("requests"), world.topic("recommendations"), "20"],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"user":"u1"' in done.stdout.replace(" ", "")


def replies_after(world, *sends, headers=(), n=None, topic="recommendations"):
    """Send requests and return the new records of a reply topic, oldest first."""
    before = len(world.read_all(topic))
    for value in sends:
        world.send("requests", "key", value, headers=headers)
    records = eventually(lambda: len(found := world.read_all(topic)) >= before + (n or len(sends)) and found)
    return sorted(records, key=lambda record: record.timestamp_ms)[before:]


def test_a_bad_request_gets_an_error_reply_and_becomes_a_dead_letter(world):
    (record,) = replies_after(
        world, '{"k": 3}', headers=request_headers(b"\0\1\2", world.topic("recommendations"), 1)
    )
    assert record.key == b"key"
    assert record.partition == 1
    assert header(record.headers, "kafka_correlationId") == b"\0\1\2"
    assert "expected one of user, history, similar_to, got none" in decode_reply(record.value).error
    assert any(letter.value == b'{"k": 3}' for letter in world.read_all("requests-dlt"))


def test_a_request_with_a_forbidden_reply_topic_gets_an_error_on_the_default_topic(world):
    (record,) = replies_after(world, '{"user": "u1"}', headers=request_headers(b"id", world.topic("ratings")))
    reply = decode_reply(record.value)
    assert isinstance(reply, ErrorReply)
    assert "kafka_replyTopic" in reply.error
    assert header(record.headers, "kafka_correlationId") == b"id"


def test_a_request_without_a_reply_topic_is_answered_on_the_default_one(world):
    aliases = [("Faust-Ag-CorrelationId", b"faust"), ("traceparent", b"00-1-2-3")]
    (record,) = replies_after(world, '{"user": "u1", "k": 2, "include_rated": true}', headers=aliases)
    assert len(decode_reply(record.value).items) == 2
    assert list(record.headers) == aliases


def metrics_of(world):
    with urllib.request.urlopen(f"http://127.0.0.1:{world.settings.metrics_port}/metrics") as answer:
        return dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")


def test_the_metrics_of_a_worker_count_its_work(world):
    code = code_of(world, "u1")
    world.rate(("u1", "i3", None, 5000))
    wait_for(world, "u1", not_code=code)
    world.rate(("u1", "i3", 5, 6000))  # a trial: i3 has a code, and u1 has withdrawn its rating
    trials = 'dch_prequential_trials_total{cohort="existing_user_existing_item"}'
    eventually(lambda: float(metrics_of(world)[trials]) > 0)
    lines = metrics_of(world)
    for name in (
        'dch_events_total{outcome="applied",topic="ratings"}',
        'dch_events_total{outcome="applied",topic="item-ratings"}',
        'dch_events_total{outcome="applied",topic="items"}',
        'dch_events_total{outcome="applied",topic="requests"}',
        "dch_event_to_visible_seconds_count",
        'dch_request_duration_seconds_count{outcome="ok",strategy="codes+rerank"}',
        'dch_store_codes{kind="user"}',
        'dch_store_codes{kind="item"}',
        'dch_store_bytes{kind="user"}',
        "dch_model_trained_timestamp_seconds",
        "dch_rebalances_total",
    ):
        assert float(lines[name]) > 0, name
    assert any(name.startswith('dch_model_info{generation="1",') for name in lines)
    for name in ("dch_consumer_lag_records", "dch_consumer_lag_seconds", "dch_requests_expired_total"):
        assert any(line.startswith(name) for line in lines)


def test_an_expired_request_is_dropped(world):
    past = int(time.time() * 1000) - 1000
    expired = REQUESTS_EXPIRED._value.get()
    with RecommendClient(world.settings.as_role(ClientSettings, request_timeout_s=1.5)) as client:
        with pytest.raises(ReplyTimeout):
            client.ask(RecommendRequest(user="u1", deadline=past))
        assert client.ask(RecommendRequest(user="u1", deadline=past + 60_000)).generation == 1
    assert REQUESTS_EXPIRED._value.get() == expired + 1


def test_requests_are_answered_while_a_large_batch_is_ingested(world):
    def n_left():
        return sum(world.ends("ratings").values()) - sum(world.committed("ratings").values())

    eventually(lambda: n_left() == 0)
    world.rate(*((f"busy{at % 500}", ITEMS[at % len(ITEMS)], 1 + at % 5, at) for at in range(50_000)))
    left = []  # ratings left to commit after each reply
    while not left or left[-1]:
        assert len(world.ask("u1", k=3, include_rated=True).items) == 3
        left.append(n_left())
    assert left[0] > 0
    eventually(lambda: len(world.items_for("busy1", k=8, include_rated=True)) == 8)
