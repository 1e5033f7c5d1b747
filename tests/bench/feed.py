"""Publish made-up ratings at a pace until stopped: ``feed.py ADDRESS TOPIC PER_SECOND N_ITEMS``."""

import signal
import sys
import time

from confluent_kafka import Producer
from made_catalogue import made_ratings

TICK_S = 0.02


def main(address, topic, per_s, n_items):
    """Publish until SIGTERM, and print how many records a second came out of it."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    producer = Producer({"bootstrap.servers": address, "partitioner": "murmur2_random", "linger.ms": 5})
    columns = [column.tolist() for column in made_ratings(100_000, n_items, seed=99)[:3]]
    print("feeding", flush=True)
    started, n = time.monotonic(), 0
    while not stopped:
        due = int((time.monotonic() - started) * per_s)
        for at in range(n, due):
            user, item, value = (column[at % 100_000] for column in columns)
            text = b'{"user":"u%d","item":"i%d","rating":%d,"timestamp":%d}'
            value = text % (user, item, value, int(time.time() * 1000))
            producer.produce(topic, value, b"u%d" % user)
        n = due
        producer.poll(0)
        time.sleep(TICK_S)
    producer.flush(30)
    print(f"{n / (time.monotonic() - started):,.0f} ratings/s were published meanwhile")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
