"""Measure by how much the clock of this machine is ahead of the broker's.

No request of Kafka's protocol tells the broker's time. It does stamp records, on a topic that says so.
"""

import time
import uuid
from collections.abc import Callable

from confluent_kafka import KafkaError, Message
from confluent_kafka import Producer as ConfluentProducer

from streams import topics
from streams.errors import StreamError
from streams.kafka.admin import Admin
from streams.kafka.config import create_client, producer_config
from streams.kafka.problems import Problems
from streams.settings import KafkaSettings

BROKER_STAMPS = {"message.timestamp.type": "LogAppendTime"}


def seconds_ahead(settings: KafkaSettings, *, now_s: Callable[[], float] = time.time) -> float | None:
    """Return by how many seconds a clock is ahead of the broker's, by less than the time of one round trip.

    A topic is created for it, and deleted. The result is None if that fails, such as for missing rights.

    Args:
        settings: settings of a client.
        now_s: the clock, in seconds since 1970.
    """
    admin, name = Admin(settings), settings.topic(f"clock-{uuid.uuid4().hex[:8]}")
    try:
        admin.create([topics.NewTopic(name, 1, settings.replication_factor, BROKER_STAMPS)])
        at_s = _broker_time_s(settings, name)
        ahead_s = None if at_s is None else now_s() - at_s
        admin.delete([name])
    except StreamError:
        return None
    return ahead_s


def too_far_ahead(ahead_s: float | None) -> str:
    """Return the sentence for records that the broker refuses; ``ahead_s`` is that of ``seconds_ahead``."""
    by = f"more than {topics.MAX_AHEAD_S} s" if ahead_s is None else f"{ahead_s:.0f} s"
    return (
        f"the clock of this machine is {by} ahead of the broker's, which refuses records that are stamped "
        f"more than {topics.MAX_AHEAD_S} s ahead; set the clock, then publish again"
    )


def _broker_time_s(settings: KafkaSettings, topic: str) -> float | None:
    """Send one record, and return the time in seconds that the broker gave it; None if it did not."""
    found: list[float] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            found.append(message.timestamp()[1] / 1000)

    client = create_client(ConfluentProducer, producer_config(settings, Problems(settings), {}, {}))
    client.produce(topic, b"", on_delivery=delivered)
    client.flush(settings.broker_timeout_s)
    return found[0] if found else None
