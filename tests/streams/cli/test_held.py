"""What the topics hold about an id: its live ratings, features, tombstones, code and dead letters."""

import random
from itertools import product

import pytest

from streams import topics
from streams.cli.held import held_of
from streams.kafka.partitioner import partition_for
from streams.messages import ItemCode, RatingEvent, encode_features, encode_item_code, encode_rating
from tests.streams.messages.records import record

N_PARTITIONS = 3
START_MS = 1_700_000_000_000


def owner(id_):
    return partition_for(id_.encode(), N_PARTITIONS)


class Log:
    """Topics in memory; each record is stamped a second after the one before."""

    def __init__(self):
        self.records, self.n = {}, 0

    def send(self, topic, key, value, partition=None):
        self.n += 1
        own = self.records.setdefault(topic.name, [])
        own.append(
            record(
                value,
                key=key.encode(),
                topic=topic.name,
                partition=owner(key) if partition is None else partition,
                offset=len(own),
                timestamp_ms=START_MS + 1000 * self.n,
            )
        )
        return own[-1].timestamp_ms

    def read(self, topic):
        return self.records.get(topic.name, [])

    def held(self, side, id_):
        return held_of(side, id_, self.read, N_PARTITIONS)


@pytest.mark.parametrize("seed", range(6))
def test_live_ratings_are_those_that_remain_when_each_pair_is_looked_at_alone(seed):
    """Records come in any order of their times, and to any partition."""
    chance, log, events, tombstones = random.Random(seed), Log(), [], {}
    users, items = [f"u{n}" for n in range(4)], [f"i{n}" for n in range(5)]
    for _ in range(150):
        user, item = chance.choice(users), chance.choice(items)
        if chance.random() < 0.95:
            value = None if chance.random() < 0.15 else float(chance.randint(1, 5))
            event = RatingEvent(user, item, value, START_MS + 1000 * (log.n + 1) - chance.randint(0, 40_000))
            log.send(topics.RATINGS, user, encode_rating(event), partition=chance.choice([None, 0]))
            events.append(event)
        else:
            topic, id_ = chance.choice([(topics.USERS, user), (topics.ITEMS, item)])
            tombstones[id_] = log.send(topic, id_, None, partition=chance.choice([None, 0]))
    expected = {}
    for user, item in product(users, items):
        of_pair = [event for event in events if (event.user, event.item) == (user, item)]
        newest = max(of_pair, key=lambda event: event.timestamp, default=None)
        void_until = max(tombstones.get(user, 0), tombstones.get(item, 0))
        if newest is not None and newest.rating is not None and newest.timestamp > void_until:
            expected[user, item] = (newest.rating, newest.timestamp)
    for side, ids in (("user", users), ("item", items)):
        for id_ in ids:
            held = log.held(side, id_)
            found = {(one.user, one.item): (one.value, one.timestamp) for one in held.ratings}
            assert found == {pair: one for pair, one in expected.items() if id_ in pair}
            assert held.n_records == sum(getattr(event, side) == id_ for event in events)
            times = [one.timestamp for one in held.ratings]
            assert times == sorted(times, reverse=True)
    assert expected


def test_everything_about_a_user_is_found():
    log = Log()
    other = (owner("u1") + 1) % N_PARTITIONS
    log.send(topics.RATINGS, "u1", encode_rating(RatingEvent("u1", "i1", 5.0, START_MS + 1)))
    log.send(topics.USERS, "u1", None)
    log.send(topics.USERS, "u1", encode_features({"age": 25}))
    log.send(
        topics.RATINGS, "u1", encode_rating(RatingEvent("u1", "i2", 4.0, START_MS + 90_000)), partition=other
    )
    log.send(topics.RATINGS, "u1", b"bad")
    log.send(topics.RATINGS, "u2", encode_rating(RatingEvent("u2", "i2", 1.0, START_MS + 90_000)))
    log.send(topics.ITEMS, "i2", encode_features({"title": "Two"}))
    log.send(topics.RATINGS.dead_letters, "u1", b"bad")
    log.send(topics.RATINGS.dead_letters, "u2", b"bad")
    held = log.held("user", "u1")
    assert (held.owner, held.features, held.tombstone_at) == (owner("u1"), {"age": 25}, START_MS + 2000)
    assert [(one.item, one.value, one.title) for one in held.ratings] == [("i2", 4.0, "Two")]
    assert (held.n_records, held.n_misrouted, held.n_void) == (2, 1, 1)
    assert held.dead_letters == {"ratings-dlt": 1}


def test_everything_about_an_item_is_found():
    log, code = Log(), ItemCode(3, "ff" * 8, ratings=2, positives=1)
    log.send(topics.ITEMS, "i1", encode_features({"available": True}))
    log.send(topics.ITEMS, "i1", encode_features({"available": "no"}))
    log.send(topics.ITEM_CODES, "i1", encode_item_code(ItemCode(2, "00" * 8, 1, 1)))
    log.send(topics.ITEM_CODES, "i1", encode_item_code(code))
    log.send(topics.ITEM_CODES, "i2", encode_item_code(ItemCode(4, "00" * 8, 1, 1)))
    held = log.held("item", "i1")
    assert (held.code, held.is_available, held.ratings, held.tombstone_at) == (code, False, [], None)
    log.send(topics.ITEM_CODES, "i1", None)
    log.send(topics.ITEMS, "i1", None)
    held = log.held("item", "i1")
    assert (held.code, held.features, held.is_available) == (None, None, True)
    assert held.tombstone_at == START_MS + 1000 * log.n


def test_an_id_that_nothing_is_known_of_is_no_error():
    held = Log().held("user", "nobody")
    assert (held.ratings, held.features, held.n_records, held.dead_letters) == ([], None, 0, {})
