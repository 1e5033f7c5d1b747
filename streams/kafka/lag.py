"""The lag of a consumer by partition, in records and in seconds.

In seconds it is an upper bound of the age of the oldest unread record. That record is later than the last one
that was read, and later than the moment at which the partition was last seen at its end. So a partition that
was idle for hours does not lag by hours when a record arrives, and markers of transactions are no lag.
"""

from collections.abc import Iterable, Mapping, Sequence

from streams.kafka.records import Partition, Record
from streams.metrics import CONSUMER_LAG_RECORDS, CONSUMER_LAG_SECONDS


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
        """Take the times of the records of a poll. Call it after each poll."""
        last = {(record.topic, record.partition): record.timestamp_ms for record in records}
        for key, time_ms in last.items():
            one = Partition(*key)
            self._later_than[one] = max(self._later_than.get(one, 0), time_ms)

    def seconds(
        self, unread: Mapping[Partition, int], assigned: Iterable[Partition], now: int
    ) -> dict[Partition, float]:
        """Return the lag in seconds of each assigned partition.

        Args:
            unread: unread records of the partitions of which something was read; see ``Consumer.lag``.
            assigned: all assigned partitions; one of which nothing was read lags since it was first seen.
            now: milliseconds since 1970.
        """
        self._first_seen = {one: self._first_seen.get(one, now) for one in assigned}
        known = {one: at for one, at in self._later_than.items() if one in self._first_seen}
        self._later_than = known | {one: now for one in self._first_seen if unread.get(one) == 0}
        return {
            one: max(now - self._later_than.get(one, seen), 0) / 1000
            for one, seen in self._first_seen.items()
        }

    def show(self, unread: Mapping[Partition, int], assigned: Iterable[Partition], now: int) -> None:
        """Set the gauges of the assigned partitions, and remove those of the others."""
        before = set(self._first_seen)
        seconds = self.seconds(unread, assigned, now)
        for one, lag_s in seconds.items():
            labels = (one.topic.removeprefix(self._prefix), str(one.partition))
            CONSUMER_LAG_SECONDS.labels(*labels).set(lag_s)
            CONSUMER_LAG_RECORDS.labels(*labels).set(unread.get(one, 0))
        for one in before - seconds.keys():
            for gauge in (CONSUMER_LAG_SECONDS, CONSUMER_LAG_RECORDS):
                gauge.remove(one.topic.removeprefix(self._prefix), str(one.partition))
