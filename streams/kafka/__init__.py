"""Kafka clients: the only folder that imports ``confluent_kafka``. It does not know what records mean."""

from streams.kafka.admin import Admin
from streams.kafka.consumer import Consumer
from streams.kafka.patience import Patience
from streams.kafka.producer import Producer
from streams.kafka.records import BEGINNING, END, Partition, Starts

__all__ = ["BEGINNING", "END", "Admin", "Consumer", "Partition", "Patience", "Producer", "Starts"]
