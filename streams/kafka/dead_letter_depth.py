"""How many dead letters the broker retains, and how old the oldest of each topic is."""

from collections.abc import Iterable
from dataclasses import dataclass

from streams.kafka.consumer import Consumer
from streams.kafka.records import Partition

POLL_S = 0.2
MAX_POLLS = 25
"""A first record that does not arrive within 5 s is left for the next time."""


@dataclass(frozen=True)
class Depth:
    """The dead letters of one topic."""

    n_records: int
    oldest_ms: int | None
    """Time of the oldest record in ms since 1970; None if there is none, or it could not be read now."""


class DeadLetterDepth:
    """Looks up the depth of dead-letter topics. It commits nothing.

    Args:
        consumer: a consumer of its own, which is assigned other partitions at each call.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._oldest: dict[tuple[Partition, int], int] = {}  # time in ms of the record at an offset

    def look(self, partitions: Iterable[Partition]) -> dict[str, Depth]:
        """Return the depth of each topic of these partitions.

        Raises:
            BrokerUnavailableError: no broker answers.
        """
        partitions = list(partitions)
        starts, ends = self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        firsts = {one: starts[one] for one in partitions if ends[one] > starts[one]}
        self._read({one: offset for one, offset in firsts.items() if (one, offset) not in self._oldest})
        self._oldest = {key: self._oldest[key] for key in firsts.items() if key in self._oldest}
        found = {}
        for topic in {one.topic for one in partitions}:
            times = [at for (one, _), at in self._oldest.items() if one.topic == topic]
            n_records = sum(ends[one] - offset for one, offset in firsts.items() if one.topic == topic)
            found[topic] = Depth(n_records, min(times, default=None))
        return found

    def _read(self, firsts: dict[Partition, int]) -> None:
        """Read the record at each of these offsets."""
        left = set(firsts)
        self._consumer.assign(dict(firsts))
        for _ in range(MAX_POLLS if firsts else 0):
            for record in self._consumer.poll(POLL_S):
                one = Partition(record.topic, record.partition)
                if one in left:
                    self._oldest[one, firsts[one]] = record.timestamp_ms
                    left.discard(one)
            if not left:
                break
        self._consumer.assign({})
