"""Gauges of the ingest thread, brought up to date about once a second."""

import time
from collections.abc import Sequence

from dch.state.state import State
from streams.kafka import Consumer
from streams.kafka.records import Record
from streams.metrics import CONSUMER_LAG_RECORDS, CONSUMER_LAG_SECONDS, STORE_BYTES, STORE_CODES
from streams.worker.context import now_ms

EVERY_S = 1.0


class Gauges:
    """What a scrape shows of lag and memory."""

    def __init__(self, state: State, consumer: Consumer) -> None:
        self._state = state
        self._consumer = consumer
        self._at = 0.0
        self._newest_ms = 0

    def update(self, records: Sequence[Record]) -> None:
        """Set the gauges if it is time; call it after each poll."""
        if records:
            self._newest_ms = records[-1].timestamp_ms
        if time.monotonic() - self._at < EVERY_S:
            return
        self._at = time.monotonic()
        lag = sum(self._consumer.lag().values())
        CONSUMER_LAG_RECORDS.set(lag)
        CONSUMER_LAG_SECONDS.set(max(now_ms() - self._newest_ms, 0) / 1000 if lag else 0)
        snapshot = self._state.snapshot
        STORE_CODES.labels("user").set(len(snapshot.users.store))
        STORE_CODES.labels("item").set(len(snapshot.item_index))
        STORE_BYTES.set(self._state.nbytes)
