"""Send heavy requests at a pace until stopped.

    heavy.py ADDRESS TOPIC REPLY_TOPIC PER_SECOND N_ITEMS N_HISTORY

Each has a history of so many different items, all of them if there are fewer, and asks for 1000. Nobody reads
the replies.
"""

import json
import os
import signal
import sys
import time

import numpy as np
from confluent_kafka import Producer

K = 1000


def main(address, topic, reply_topic, per_s, n_items, n_history):
    """Send until SIGTERM, and print how many a second the broker took."""
    stopped, taken = [], []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    producer = Producer(
        {
            "bootstrap.servers": address,
            "partitioner": "murmur2_random",
            "linger.ms": 0,
            "message.max.bytes": 2_000_000,
        }
    )
    items = np.random.default_rng(7).choice(n_items, min(n_history, n_items), replace=False).tolist()
    history = [{"item": f"i{item}", "rating": 4 + item % 2} for item in items]
    value = json.dumps({"history": history, "k": K}).encode()
    print("sending", flush=True)
    started, n = time.monotonic(), 0
    while not stopped:
        while n < (time.monotonic() - started) * per_s:
            headers = [
                ("kafka_correlationId", os.urandom(16)),
                ("kafka_replyTopic", reply_topic.encode()),
            ]
            producer.produce(
                topic, value, headers=headers, on_delivery=lambda error, _: taken.append(not error)
            )
            n += 1
        producer.poll(0.01)
    producer.flush(30)
    n_taken, n_bytes = sum(taken), len(value)
    per_s = n_taken / (time.monotonic() - started)
    print(f"{per_s:.1f} heavy requests/s of {n_bytes:,} bytes meanwhile, {n - n_taken} more were not taken")


if __name__ == "__main__":
    main(*sys.argv[1:4], float(sys.argv[4]), *map(int, sys.argv[5:7]))
