"""What the threads of one worker share, and who may write it.

Three threads: *ingest* applies records and is the only one that writes to the recommender's state; *requests*
answers; *tables* reads the compacted topics and hands what it finds to ingest.
"""

import queue
import threading
import time
from dataclasses import dataclass, field

from dch.models.model import Model
from dch.recommender import Recommender
from streams.messages import FeatureRecord, ItemCode, ModelPointer
from streams.settings import WorkerSettings

HANDED_OVER = 64
"""Batches that tables may be ahead of ingest: memory stays bounded while a large catalogue is read."""


@dataclass(frozen=True)
class NewModel:
    """A model that was fetched and checked."""

    model: Model
    pointer: ModelPointer
    read_at_s: float
    """``time.monotonic`` when its pointer was read."""


@dataclass(frozen=True)
class TableBatch:
    """What one poll of the compacted topics brought."""

    items: list[tuple[FeatureRecord, int]] = field(default_factory=list)
    """Feature records of items, with the record's time in ms."""

    codes: list[tuple[str, int, ItemCode | None]] = field(default_factory=list)
    """Item id, partition, and its code; None where the item has none any more."""


class Service:
    """One worker. Fields are written by the thread named beside them, in one assignment each."""

    def __init__(self, settings: WorkerSettings, stop: threading.Event) -> None:
        self.settings = settings
        self.group = settings.group_of("worker")
        self.stop = stop
        self.inbox: queue.Queue[NewModel | TableBatch] = queue.Queue(HANDED_OVER)
        self.tables_read = threading.Event()  # tables: everything that was there at the start is in the inbox
        self.recommender: Recommender | None = None  # ingest
        self.owned: frozenset[int] = frozenset()  # ingest: partitions this worker is the owner of
        self.caught_up: frozenset[int] = frozenset()  # ingest: of those, where its state is complete
        self.is_caught_up = False  # ingest: on all of them, both sides
        self.serving: frozenset[int] = frozenset()  # requests: partitions of `requests` being read
        self.newest_published_ms = 0  # ingest

    def staleness_s(self, now_ms: int) -> float:
        """Return the seconds since the newest rating record that this worker has applied was published.

        Before the first one it is the time since the model in service was fitted.
        """
        return max(now_ms - self.newest_published_ms, 0) / 1000

    def topic_of(self, full_name: str) -> str:
        """Return the name of a topic without the prefix, as metrics have it."""
        return full_name.removeprefix(self.settings.prefix)


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000
