"""Talk to Kafka: the only place that imports ``confluent_kafka``. Nothing here knows what records mean."""

from streams.clients.admin import Admin
from streams.clients.consumer import Consumer
from streams.clients.places import BEGINNING, END, Partition, Starts
from streams.clients.producer import Producer

__all__ = ["BEGINNING", "END", "Admin", "Consumer", "Partition", "Producer", "Starts"]
