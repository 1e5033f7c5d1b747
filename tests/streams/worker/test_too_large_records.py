"""Records that do not fit where the worker has to write them end no worker, and keep no user waiting."""

import hashlib
import json
import struct

import pytest
from confluent_kafka import Producer as ForeignProducer
from random_models import random_model

from streams.kafka.records import Record
from streams.messages import RatedReason, RecommendedItem, RecommendReply, decode_reply
from streams.messages.headers import ReplyAddress
from streams.worker.replies import reply_record
from tests.streams.brokers import eventually
from tests.streams.world import worker

MODEL = random_model(bits=64, hidden=64)
LIMIT = 1_048_588
"""The default of Kafka for max.message.bytes."""


def send_big(world, key, value, **kwargs):
    """Send a record that is larger than the topic's limit until it is compressed."""
    producer = ForeignProducer(
        {
            "bootstrap.servers": world.settings.bootstrap_servers,
            "message.max.bytes": 8_000_000,
            "compression.type": "gzip" if len(value) > LIMIT else "none",
        }
    )
    producer.produce(world.topic("ratings"), key=key, value=value, **kwargs)
    assert producer.flush(20) == 0


def rating_of(user, n_bytes):
    empty = len(json.dumps({"user": user, "item": "i1", "rating": 5, "note": ""}))
    return json.dumps({"user": user, "item": "i1", "rating": 5, "note": "x" * (n_bytes - empty)}).encode()


@pytest.mark.real_broker
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
def test_a_worker_goes_on_after_records_that_are_too_large_to_pass_on(world):
    compressed = b"not json " + b"x" * 3_000_000
    misrouted = rating_of("big", LIMIT - 80)
    wrong = (world.owner_of("big") + 1) % world.settings.partitions
    world.publish(MODEL)
    send_big(world, b"bad", compressed, partition=world.owner_of("bad"))
    send_big(world, b"big", misrouted, partition=wrong)
    world.rate(("bad", "i1", 5.0), ("big", "i2", 5.0))
    with worker(world.settings):
        eventually(lambda: world.ask("bad").ratings == 1 and world.ask("big").ratings == 1)
        eventually(lambda: sum(world.committed("ratings").values()) == sum(world.ends("ratings").values()))
    with worker(world.settings):  # nor does a start repeat anything
        letters = {letter.partition: letter for letter in world.read_all("ratings-dlt")}
    assert len(letters) == 2
    letter = letters[world.owner_of("bad")]
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"bad", None)
    assert headers["dch-value-bytes"] == str(len(compressed)).encode()
    assert headers["dch-value-sha256"] == hashlib.sha256(compressed).hexdigest().encode()
    assert struct.unpack(">i", headers["kafka_dlt-original-partition"]) == (world.owner_of("bad"),)
    assert b"expected JSON" in headers["kafka_dlt-exception-message"]
    letter = letters[wrong]
    assert letter.value == misrouted  # it fits into the topic of dead letters, which takes more
    assert b"not repartitioned" in dict(letter.headers)["kafka_dlt-exception-message"]


def test_a_reply_that_is_too_large_loses_its_titles_and_reasons_and_then_becomes_an_error():
    request = Record("requests", 0, 1, b"u1", b"{}", 1)
    reason = RatedReason("i9", 0.5, "T" * 1000)
    hits = tuple(RecommendedItem(f"i{n}", 1, 1.0, "T" * 1000, (reason,)) for n in range(3))
    reply = RecommendReply(
        user="u1", items=hits, generation=1, strategy="codes", staleness_s=0.0, code="00", ratings=1
    )
    record = reply_record(ReplyAddress("recommendations", 2, [("traceparent", b"t")]), request, reply)
    without_titles = record.if_refused()
    found = decode_reply(without_titles.value)
    assert found.items == tuple(RecommendedItem(f"i{n}", 1, 1.0) for n in range(3))
    error = without_titles.if_refused()
    assert "ask for a smaller k" in decode_reply(error.value).error
    assert (error.partition, error.headers) == (2, [("traceparent", b"t")])
    assert error.if_refused is None
