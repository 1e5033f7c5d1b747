"""The lag of a consumer by partition, in records and in seconds.

In seconds it is an upper bound of the age of the oldest unread record. That record is later than the last one
that was read, and later than the moment at which the partition was last seen at its end. So a partition that
was idle for hours does not lag by hours when a record arrives, and markers of transactions are no lag.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from streams.kafka.end_offsets import EndOffsets
from streams.kafka.positions import Positions
from streams.kafka.records import Partition, Record, to_partition, to_partitions
from streams.metrics import CONSUMER_LAG_RECORDS, CONSUMER_LAG_SECONDS


class Unread(NamedTuple):
    """How much of a partition is unread."""

    n_records: int
    as_of_ms: int
    """Since 1970: the end of the partition is at least as new."""


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def unread_records(
    client: Consumer, ends: EndOffsets, positions: Positions, assigned: Sequence[TopicPartition]
) -> dict[Partition, Unread]:
    """Return how many records of each assigned partition are unread, as far as that is known.

    Their end is the one that the leader gave when it was asked last, or the last fetched one, if that is
    later. At the end of a partition only the first counts: after it may come records of an open
    transaction, which nobody may read yet. This waits for no broker and raises no error of one.

    Args:
        client: the consumer.
        ends: what the leaders say, asked for beside it.
        positions: what it has read.
        assigned: its partitions, each with the offset to begin at.
    """
    places = to_partitions(assigned)
    asked, at = ends.look(places), now_ms()
    fetched = {one: _n_fetched(client, positions, one, read) for one, read in positions.read.items()}
    found = {one: Unread(n, at) for one, n in fetched.items()}
    for one, first in zip(places, assigned, strict=True):
        if one in asked:
            read = positions.read.get(one, _first_offset(positions, first))
            n = max(asked[one].offset - read, fetched.get(one, 0), 0)
            found[one] = Unread(n, asked[one].as_of_ms)
    return found


def _n_fetched(client: Consumer, positions: Positions, one: Partition, read: int) -> int:
    """Return how many records lie between what was read and the end that came with the last fetch."""
    if positions.is_at_end(one):
        return 0
    end = int(client.get_watermark_offsets(TopicPartition(*one), cached=True)[1])
    return max(end - read, 0)


def _first_offset(positions: Positions, assigned: TopicPartition) -> int:
    """Return where reading begins; 0 for the beginning, whatever was deleted there."""
    if assigned.offset >= 0:
        return int(assigned.offset)
    return positions.committed(to_partition(assigned)) if assigned.offset == OFFSET_INVALID else 0


class Lag:
    """The lag of one consumer, shown as gauges with the labels topic (without prefix) and partition.

    Args:
        prefix: of the topics, which the labels leave out.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._later_than: dict[Partition, int] = {}  # ms since 1970: the oldest unread record is later
        self._first_seen: dict[Partition, int] = {}  # ms since 1970

    def note(self, records: Sequence[Record]) -> None:
        """Take the times of the records of a poll. Call it after each poll.

        A time in the future counts as now: the record was written before it was read.
        """
        last, now = {(record.topic, record.partition): record.timestamp_ms for record in records}, now_ms()
        for key, time_ms in last.items():
            one = Partition(*key)
            self._later_than[one] = max(self._later_than.get(one, 0), min(time_ms, now))

    def seconds(
        self, unread: Mapping[Partition, Unread], assigned: Iterable[Partition], now: int
    ) -> dict[Partition, float]:
        """Return the lag in seconds of each assigned partition.

        Args:
            unread: of the partitions of which it is known; see ``Consumer.lag``.
            assigned: all assigned partitions; one of which nothing was read lags since it was first seen.
            now: milliseconds since 1970.
        """
        self._first_seen = {one: self._first_seen.get(one, now) for one in assigned}
        known = {one: at for one, at in self._later_than.items() if one in self._first_seen}
        at_end = {one: unread[one].as_of_ms for one in self._first_seen if _is_read(unread, one)}
        self._later_than = known | {one: max(at, known.get(one, 0)) for one, at in at_end.items()}
        return {
            one: 0.0 if one in at_end else max(now - self._later_than.get(one, seen), 0) / 1000
            for one, seen in self._first_seen.items()
        }

    def show(self, unread: Mapping[Partition, Unread], assigned: Iterable[Partition], now: int) -> None:
        """Set the gauges of the assigned partitions, and remove those of the others."""
        before = set(self._first_seen)
        seconds = self.seconds(unread, assigned, now)
        for one, lag_s in seconds.items():
            labels = (one.topic.removeprefix(self._prefix), str(one.partition))
            CONSUMER_LAG_SECONDS.labels(*labels).set(lag_s)
            CONSUMER_LAG_RECORDS.labels(*labels).set(unread[one].n_records if one in unread else 0)
        for one in before - seconds.keys():
            for gauge in (CONSUMER_LAG_SECONDS, CONSUMER_LAG_RECORDS):
                gauge.remove(one.topic.removeprefix(self._prefix), str(one.partition))


def _is_read(unread: Mapping[Partition, Unread], one: Partition) -> bool:
    return one in unread and unread[one].n_records == 0
