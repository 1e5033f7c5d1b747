"""Mutated records: valid records of every topic with bytes changed, cut or repeated.

They name users and items of their own, so that one that stays valid changes no other user or item. Codes of
items on `item-codes` could not be told from real ones otherwise. Pointers on `models` that stay valid name an
artifact that exists nowhere.
"""

import json
import random
import time
from collections.abc import Iterator

import numpy as np

from streams.kafka.records import Output
from streams.settings import WorkerSettings
from streams.topics import TOPICS

TOOLS = (
    b"\x00",
    b"\xff",
    b"{",
    b"}",
    b'"',
    b",",
    b"9" * 400,
    b"[" * 3000,
    b"null",
    b"-1",
    b"1e999",
    b"\xc3\x28",
)
NOW_MS = 1_700_000_000_000
BIG_SHARE = 1 / 20_000
"""Share of records of 3 MB that come compressed."""


def mutated(settings: WorkerSettings, n: int, seed: int) -> Iterator[Output]:
    """Yield n mutated records, on all topics in turn."""
    rng = random.Random(seed)
    names = [topic.name for topic in TOPICS]
    for at in range(n):
        name = names[at % len(names)]
        key, value = _valid(name, f"mutant-{rng.randrange(1000)}", rng)
        data = _mutate(value, rng)
        if rng.random() < BIG_SHARE:
            data = b"not json " + b"x" * 3_000_000
        partition = 0 if name == "models" else rng.randrange(settings.partitions)
        headers = [("kafka_correlationId", _mutate(b"0" * 16, rng))] if name == "requests" else []
        yield Output(settings.topic(name), _mutate(key, rng), data, partition, headers)


def a_name(rng: np.random.Generator) -> bytes:
    """Return a name of a header that is mostly not UTF-8; a client ends it at a zero byte."""
    return bytes(rng.integers(1, 256, rng.integers(1, 6)).tolist())


def _valid(name: str, id_: str, rng: random.Random) -> tuple[bytes, bytes]:
    """Return key and value of a valid record of a topic, of a mutant user or item."""
    rating = {
        "user": id_,
        "item": id_,
        "rating": rng.randint(1, 5),
        "timestamp": NOW_MS + rng.randrange(10**6),
    }
    code = {"generation": 1, "code": "5a" * 8, "ratings": 1, "positives": 1}
    pointer = {
        "generation": rng.randint(1, 9),
        "location": "gen-9",
        "sha256": "0" * 64,
        "watermarks": {},
        "trained_at": 1,
    }
    served = {"kind": "rating", "user": id_, "partition": 0, "offset": rng.randrange(10**6), "liked": True}
    served |= {"item": id_, "time": time.time_ns() // 1_000_000}  # of another day it would count as late
    found = {
        "ratings": rating,
        "item-ratings": {name + "s": [value] for name, value in rating.items()}
        | {"offsets": [rng.randrange(10**6)]},
        "users": {"age": rng.randrange(99)},
        "items": {"title": id_, "available": True},
        "item-codes": code,
        "models": pointer,
        "requests": {"user": id_, "k": 3, "exclude": [id_]},
        "served": served,
        "observer-changelog": [served],
    }.get(name, rating)
    key = b"model" if name == "models" else id_.encode()
    return key, json.dumps(found).encode()


def _mutate(data: bytes, rng: random.Random) -> bytes:
    """Return data with one to three changes; now and then without any."""
    for _ in range(rng.randint(0, 3)):
        at, other = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
        start, end = min(at, other), max(at, other)
        data = rng.choice(
            [
                data[:start] + data[end:],
                data[:end] + data[start:],
                data[:at] + rng.choice(TOOLS) + data[at:],
                data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
            ]
        )
    return data[:20_000]
