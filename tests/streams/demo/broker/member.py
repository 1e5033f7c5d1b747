"""A member of a consumer group as a process; it prints its partitions whenever they change."""

import sys

from confluent_kafka import Consumer

address, group, topic, strategy = sys.argv[1:]
consumer = Consumer(
    {
        "bootstrap.servers": address,
        "group.id": group,
        "partition.assignment.strategy": strategy,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1000,
    }
)
consumer.subscribe([topic])
before: list[int] = []
while True:
    consumer.poll(0.1)
    now = sorted(found.partition for found in consumer.assignment())
    if now != before:
        print(*now, flush=True)
        before = now
