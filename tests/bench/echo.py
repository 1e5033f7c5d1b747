"""A bare Kafka echo: ``echo.py ADDRESS TOPIC FILE`` answers each record with the bytes of the file.

It does what any service on Kafka must do to answer: consume, produce to the topic and partition that the
request names, with its correlation id. The producer has the guarantees of the worker's.
"""

import signal
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition


def main(address, topic, file):
    """Answer until SIGTERM."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    reply = Path(file).read_bytes()
    base = {"bootstrap.servers": address}
    consumer = Consumer(base | {"group.id": "echo", "enable.auto.commit": False})
    producer = Producer(base | {"linger.ms": 0, "enable.idempotence": True})
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in partitions]
    ends = [end_of(consumer, place) for place in places]
    consumer.assign(
        [TopicPartition(topic, place.partition, end) for place, end in zip(places, ends, strict=True)]
    )
    print("echo", flush=True)
    while not stopped:
        message = consumer.poll(0.05)
        if message is None or message.error():
            continue
        headers = dict(message.headers())
        where = headers["kafka_replyTopic"].decode(), int.from_bytes(headers["kafka_replyPartition"])
        correlation = [("kafka_correlationId", headers["kafka_correlationId"])]
        producer.produce(where[0], reply, message.key(), where[1], headers=correlation)
        producer.poll(0)
    producer.flush(5)
    consumer.close()


def end_of(consumer, place):
    """Return the end of a partition; one of a new topic may not have a leader yet."""
    give_up_at = time.monotonic() + 30
    while True:
        try:
            return consumer.get_watermark_offsets(place, 10)[1]
        except KafkaException:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
