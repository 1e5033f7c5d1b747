"""Transactions, as another application writes them: committed, aborted, or left open."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from confluent_kafka import Producer as ConfluentProducer

from streams.kafka.records import Output
from streams.messages import RatingEvent, encode_rating

TIMEOUT_S = 30


def begin(settings, outputs):
    """Write records in a new transaction and leave it open; return its producer."""
    producer = ConfluentProducer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "transactional.id": uuid.uuid4().hex,
            "partitioner": "murmur2_random",
            "transaction.timeout.ms": 600_000,  # longer than any test leaves one open
        }
    )
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    for output in outputs:
        where = {} if output.partition is None else {"partition": output.partition}
        producer.produce(output.topic, output.value, output.key, **where)
    assert producer.flush(TIMEOUT_S) == 0
    return producer


def end(producer, how):
    """End a transaction: ``commit``, ``abort``, or ``open``, which leaves it open."""
    if how == "commit":
        producer.commit_transaction(TIMEOUT_S)
    elif how == "abort":
        producer.abort_transaction(TIMEOUT_S)


def write(settings, outputs, how):
    """Write records in a transaction that ends as told; return its producer."""
    producer = begin(settings, outputs)
    end(producer, how)
    return producer


@contextmanager
def busy_ratings(world, user="busy"):
    """Keep rating with one user, some ten times a second, so that no poll stays without records for long."""
    stop = threading.Event()

    def rate():
        n = 0
        while not stop.wait(0.1):
            world.producer.send(Output(world.topic("ratings"), user.encode(), rating(user, n)))
            n += 1
        world.producer.flush()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(rate)
        try:
            yield
        finally:
            stop.set()
            done.result(TIMEOUT_S)


def rating(user, n):
    """Return the n-th rating of a user, as bytes."""
    return encode_rating(RatingEvent(user, f"i{n % 50}", float(n % 5 + 1), 1_700_000_000_000 + n))
