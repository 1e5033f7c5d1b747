"""Which topics there are, as the broker says now."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException

from streams import topics
from streams.errors import TopicError
from streams.kafka.config import Errors, unavailable
from streams.settings import KafkaSettings

EVERY_S = 0.05


def partitions(client: Any, settings: KafkaSettings, errors: Errors) -> Mapping[str, int]:  # noqa: ANN401 - any of three
    """Return the number of partitions of each topic there is.

    Raises:
        BrokerUnavailableError: no broker answers in time.
    """
    try:
        found = client.list_topics(timeout=settings.broker_timeout_s).topics
    except KafkaException as error:
        raise unavailable(settings, errors, error) from error
    return {name: len(topic.partitions) for name, topic in found.items()}


def wait_for_topics(client: Any, names: Iterable[str], settings: KafkaSettings, errors: Errors) -> None:  # noqa: ANN401
    """Wait until these topics are there: brokers know of a new topic a moment after it was created.

    Raises:
        TopicError: one is not there in time.
        BrokerUnavailableError: no broker answers in time.
    """
    end = time.monotonic() + settings.broker_timeout_s
    while missing := sorted(set(names) - partitions(client, settings, errors).keys()):
        if time.monotonic() > end:
            raise TopicError(topics.missing_sentence(missing, settings))
        time.sleep(EVERY_S)
