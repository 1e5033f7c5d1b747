"""The context that the threads of one worker share, with the thread that may write each field.

A worker has three threads. *ingest* applies records and is the only one that writes to the recommender's
state. *requests* answers requests. *tables* reads the global tables (the compacted topics) and queues what it
finds for ingest.
"""

import queue
import threading
import time
from dataclasses import dataclass, field

from dch.models.model import Model
from dch.recommender import Recommender
from streams.kafka import Patience
from streams.messages import FeatureRecord, ItemCode, ModelPointer
from streams.settings import WorkerSettings
from streams.worker.standstill import Standstill

MAX_QUEUED = 64
"""Entries of the queue from tables to ingest; bounds memory while a large catalogue is read."""


@dataclass(frozen=True)
class FetchedModel:
    """A model that was read from the artifact store and checked."""

    model: Model
    pointer: ModelPointer
    read_at_s: float
    """``time.monotonic`` when its pointer was read."""


@dataclass(frozen=True)
class AwaitedModel:
    """A model that was announced, and that the artifact store has not given yet."""

    generation: int
    since_s: float
    """``time.monotonic`` since when this worker has not had the model that it should have."""


@dataclass(frozen=True)
class TableBatch:
    """The decoded records of one poll of the global tables `items` and `item-codes`."""

    items: list[tuple[FeatureRecord, int]] = field(default_factory=list)
    """Feature records of items, each with the time of its record in ms."""

    codes: list[tuple[str, int, ItemCode | None]] = field(default_factory=list)
    """Item id, partition and item code; None removes the code."""

    repeated_codes: list[tuple[str, int, ItemCode | None]] = field(default_factory=list)
    """The same of records that were read before; they come before the others."""


class WorkerContext:
    """The shared context of one worker. Each field is written by one thread, in one assignment."""

    def __init__(self, settings: WorkerSettings, stop: threading.Event) -> None:
        self.settings = settings
        self.group = settings.group_of("worker")
        self.stop = stop
        self.standstill = Standstill(settings)  # any thread; ingest settles it
        self.patience = Patience(settings.broker_patience_s, stop)  # any thread
        self.table_queue: queue.Queue[FetchedModel | TableBatch] = queue.Queue(MAX_QUEUED)  # tables to ingest
        self.awaited_model: AwaitedModel | None = None  # tables
        self.tables_read = threading.Event()  # tables: all records that existed at the start are queued
        self.recommender: Recommender | None = None  # ingest
        self.owned: frozenset[int] = frozenset()  # ingest: partitions that this worker owns
        self.caught_up: frozenset[int] = frozenset()  # ingest: owned partitions with all users read; a new
        # object at each change, before the users of a lost partition are dropped
        self.is_caught_up = False  # ingest: whether all owned partitions are, items included
        self.serving: frozenset[int] = frozenset()  # requests: partitions of `requests` being read
        self.first_fit_ms = 0  # ingest; when the first model was fitted
        self.newest_published_ms = 0  # ingest; 0 before the first rating record

    @property
    def answerable(self) -> frozenset[int]:
        """The partitions to answer requests of: those caught up; none while another worker may own them.

        It is another object after each change.
        """
        return frozenset() if self.standstill.look() else self.caught_up

    def missing_model(self, now_s: float | None = None) -> str:
        """Return what to tell clients while the announced model is missing for too long; empty otherwise.

        Others may serve that model, and publish no item codes of the one in service any more. Lists from
        fewer and fewer items would look like answers.
        """
        awaited = self.awaited_model
        now_s = time.monotonic() if now_s is None else now_s
        if awaited is None or now_s - awaited.since_s <= self.settings.model_load_timeout_s:
            return ""
        return (
            f"this worker cannot load generation {awaited.generation} from its artifact store since "
            f"{now_s - awaited.since_s:.0f} s, and gives no lists of an earlier one; try again later"
        )

    def staleness_s(self, now_ms: int) -> float:
        """Return the seconds since the newest rating record that this worker has applied was published.

        Before the first rating record it is the time since the first model of this worker was fitted. It is
        below 0 if that record is stamped ahead of the clock of this worker, which decides nothing.
        """
        return (now_ms - (self.newest_published_ms or self.first_fit_ms)) / 1000


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000
