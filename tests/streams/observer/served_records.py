"""Made-up traffic on `served`: several users, lists, likes, copies, late and bad records."""

import random

import msgspec

from streams.kafka.records import Record
from streams.messages import ServedList, ServedRating, encode_served
from streams.messages.served import USER_COHORTS

BASE_MS = 1_700_000_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def a_list(user="u", time=0, items=("a", "b"), **changes):
    """Return a list that was shown at ``time`` ms after BASE_MS."""
    values = {
        "user": user,
        "partition": 0,
        "offset": time,
        "time": BASE_MS + time,
        "items": tuple(items),
        "new_items": 0,
        "popularity": 10 * len(items),
        "catalogue": 20,
        "strategy": "codes",
        "generation": 1,
        "cohort": "few_ratings",
    }
    return ServedList(**values | changes)


def a_rating(user="u", time=0, item="a", *, liked=True, **changes):
    """Return a rating that was sent at ``time`` ms after BASE_MS."""
    values = {
        "user": user,
        "partition": 0,
        "offset": time,
        "time": BASE_MS + time,
        "item": item,
        "liked": liked,
    }
    return ServedRating(**values | changes)


def a_record(served, partition=0, offset=0, topic="served"):
    value = served if isinstance(served, bytes) else encode_served(served)
    key = b"" if isinstance(served, bytes) else served.user.encode()
    return Record(topic, partition, offset, key, value, BASE_MS + 100 * DAY_MS)


def traffic(seed, n, *, n_users=12, n_items=9, step_ms=20 * MINUTE_MS, partition=0):
    """Return n records of one partition in the order of their offsets.

    Times go on by up to ``step_ms`` a record. One record in five is older, by up to a day and a half, so
    that some are too late; one in six is a copy; one in twenty is bad.
    """
    dice = random.Random(seed)
    now, found = 0, []
    for offset in range(n):
        now += dice.randrange(step_ms)
        time = now - (dice.randrange(3 * DAY_MS // 2) if dice.random() < 0.2 else 0)
        served = _list(dice, time, offset, n_users, n_items) if dice.random() < 0.5 else None
        served = served or _rating(dice, time, offset, n_users, n_items)
        served = msgspec.structs.replace(served, partition=partition)
        if found and dice.random() < 1 / 6:
            served = dice.choice(found[-30:])
        elif dice.random() < 1 / 20:
            served = dice.choice([b"", b"{}", b'{"kind": "list"}', b"\xff"])
        found.append(served)
    return [a_record(served, partition, offset) for offset, served in enumerate(found)]


def _list(dice, time, offset, n_users, n_items):
    items = dice.sample([f"i{number}" for number in range(n_items)], dice.randrange(0, 5))
    return a_list(
        f"u{dice.randrange(n_users)}",
        max(time, 0),
        items,
        offset=offset,
        new_items=dice.randrange(len(items) + 1),
        popularity=dice.randrange(100),
        catalogue=dice.choice([20, 21, 30]),
        strategy=dice.choice(["codes", "codes+rerank", "popular"]),
        generation=dice.choice([1, 2]),
        cohort=dice.choice(USER_COHORTS),
    )


def _rating(dice, time, offset, n_users, n_items):
    user, item = f"u{dice.randrange(n_users)}", f"i{dice.randrange(n_items)}"
    return a_rating(user, max(time, 0), item, liked=dice.random() < 0.8, offset=offset)
