"""Records of `users`: features, and tombstones that forget a user."""

from collections.abc import Callable, Sequence

from dch.state.state import State
from streams.errors import BadRecord
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output, Record
from streams.messages import FeatureRecord, decode_user
from streams.settings import WorkerSettings
from streams.worker.outputs import forwarded, withdrawal


class UserRecords:
    """Applies records of `users`. Only the ingest thread uses it.

    A tombstone must find all ratings it takes back; so what is new is held until the replay of the ratings of
    its partition is done.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        state: State,
        send: Callable[[Output], None],
        dead_letter: Callable[[Record, BadRecord], None],
    ) -> None:
        self._settings = settings
        self._state = state
        self._send = send
        self._dead_letter = dead_letter
        self._held: dict[int, list[Record]] = {}

    @property
    def holding(self) -> set[int]:
        """The partitions of which records are held; their offsets must not be committed."""
        return {partition for partition, records in self._held.items() if records}

    def keep_held(self, kept: frozenset[int]) -> None:
        """Forget what is held of other partitions than these, after a rebalance.

        It is not committed, so their owner reads it again; of those that stay ours reading goes on behind it.
        """
        self._held = {partition: held for partition, held in self._held.items() if partition in kept}

    def hold(self, record: Record) -> None:
        """Keep a new record for later."""
        self._held.setdefault(record.partition, []).append(record)

    def release_held(self, partition: int) -> Sequence[Record]:
        """Return what was held of a partition, to be applied now."""
        return self._held.pop(partition, ())

    def apply(self, record: Record, *, is_live: bool) -> str:
        """Apply one record, and pass on what follows from it if it is live; return what became of it."""
        try:
            found = decode_user(record)
        except BadRecord as reason:
            if is_live:
                self._dead_letter(record, reason)
            return ""
        key = found.id.encode()
        home = partition_for(key, self._settings.partitions)
        if home != record.partition:
            if is_live:
                self._send(forwarded(record, home, key))
            return "forwarded" if is_live else "replayed"
        self._take(found, record.timestamp_ms, is_live=is_live)
        return "applied" if is_live else "replayed"

    def _take(self, found: FeatureRecord, timestamp_ms: int, *, is_live: bool) -> None:
        items = self._state.set_user(found.id, found.features, timestamp_ms)
        if is_live:
            for item in items:
                self._send(withdrawal(self._settings, found.id, item, timestamp_ms))
