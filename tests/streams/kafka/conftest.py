"""The clients of librdkafka below consumers, for tests that break them or look at what they are told."""

import pytest
from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import KafkaError, KafkaException


class Breakable(ConfluentConsumer):
    """A real client, which gets no answers any more once a test says that it is stuck."""

    is_stuck = is_closed = False

    def poll(self, timeout_s):
        """Return the next message; none of a client that is stuck."""
        return None if self.is_stuck else super().poll(timeout_s)

    def list_topics(self, *args, **kwargs):
        """Return the metadata of the cluster; a client that is stuck knows no broker to ask."""
        if self.is_stuck:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return super().list_topics(*args, **kwargs)

    def close(self):
        """Leave the group."""
        super().close()
        self.is_closed = True


@pytest.fixture
def clients(monkeypatch):
    """Return a list of the clients that consumers and owners create, the oldest first."""
    made = []

    def create(config):
        made.append(Breakable(config))
        return made[-1]

    for module in ("lasting_client", "ownership"):
        monkeypatch.setattr(f"streams.kafka.{module}.ConfluentConsumer", create)
    return made
