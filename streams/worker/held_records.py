"""Records that wait, by partition, and whether as many wait as may."""

from streams.kafka.records import Record

MAX_HELD_RECORDS = 20_000
MAX_HELD_BYTES = 32 << 20
"""Of values and keys. The last batch that is read may be beyond both."""


class HeldRecords:
    """Records held back, in the order in which they came. Only the ingest thread uses it."""

    def __init__(self) -> None:
        self._held: dict[int, list[Record]] = {}
        self._n_bytes: dict[int, int] = {}

    @property
    def partitions(self) -> set[int]:
        """The partitions of which records are held back."""
        return set(self._held)

    def __contains__(self, partition: int) -> bool:
        return partition in self._held

    def add(self, record: Record) -> None:
        """Hold a record back."""
        self._held.setdefault(record.partition, []).append(record)
        n_bytes = len(record.value or b"") + len(record.key or b"")
        self._n_bytes[record.partition] = self._n_bytes.get(record.partition, 0) + n_bytes

    def take(self, partition: int) -> list[Record]:
        """Return the records of a partition, which are held back no more."""
        self._n_bytes.pop(partition, None)
        return self._held.pop(partition, [])

    def keep_only(self, owned: frozenset[int]) -> None:
        """Drop the records of other partitions than these."""
        for partition in self.partitions - owned:
            self.take(partition)

    def is_full(self) -> bool:
        """Return whether no more records should be read that would have to wait, too."""
        n_records = sum(map(len, self._held.values()))
        return n_records >= MAX_HELD_RECORDS or sum(self._n_bytes.values()) >= MAX_HELD_BYTES
