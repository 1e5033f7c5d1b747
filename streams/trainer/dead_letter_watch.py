"""Show how many dead letters there are, and how old they are. One role does this for all: the trainer."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from streams import topics
from streams.errors import StreamError
from streams.kafka import Consumer, Partition, Patience
from streams.kafka.dead_letter_depth import DeadLetterDepth
from streams.metrics import DEAD_LETTER_AGE_SECONDS, DEAD_LETTER_RECORDS
from streams.settings import TrainerSettings

log = logging.getLogger("streams.trainer")

INTERVAL_S = 15.0
STOP_S = 15.0
"""How long the end of the trainer waits for the watch, which may wait for a broker."""


@contextmanager
def watch_dead_letters(settings: TrainerSettings, stop: threading.Event) -> Iterator[None]:
    """Keep the gauges of dead letters up to date until the block ends, in a thread of its own.

    A failure that is none of a broker's sets ``stop``, which ends the trainer, and is raised at the end of
    the block: gauges that stand still would look like dead letters that nobody adds to.
    """
    is_over, failures = threading.Event(), list[Exception]()

    def watch() -> None:
        try:
            _watch(settings, is_over)
        except Exception as error:  # noqa: BLE001 - it is raised below
            failures.append(error)
            stop.set()

    thread = threading.Thread(target=watch, name="dead letters", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(STOP_S)
        if failures:
            raise failures[0]


def _watch(settings: TrainerSettings, stop: threading.Event) -> None:
    consumer = Consumer(
        settings,
        group=settings.group_of("trainer") + "-dead-letters",
        start="earliest",
        max_records=100,
        fill_s=0.0,
        patience=Patience(settings.broker_timeout_s, stop),
    )
    depth = DeadLetterDepth(consumer)
    try:
        while not stop.is_set():
            try:
                show_depth(settings, depth, time.time())
            except (
                StreamError
            ) as error:  # the gauges keep their values; the trainer itself decides what to do
                log.warning("dead letters could not be counted reason=%s", error)
            stop.wait(INTERVAL_S)
    finally:
        consumer.close()


def show_depth(settings: TrainerSettings, depth: DeadLetterDepth, now_s: float) -> None:
    """Set the gauges of every topic that has dead letters."""
    watched = {
        settings.topic(topic.dead_letters.name): topic for topic in topics.TOPICS if topic.has_dead_letters
    }
    partitions = [
        Partition(name, number)
        for name, topic in watched.items()
        for number in range(settings.partitions if topic.is_sharded else 1)
    ]
    for name, found in depth.look(partitions).items():
        label = watched[name].name
        DEAD_LETTER_RECORDS.labels(label).set(found.n_records)
        age_s = 0.0 if found.oldest_ms is None else max(now_s - found.oldest_ms / 1000, 0.0)
        DEAD_LETTER_AGE_SECONDS.labels(label).set(age_s)
