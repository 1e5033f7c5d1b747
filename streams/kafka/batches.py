"""Fetch batches of messages, turn them into records, and report the errors among them."""

from collections.abc import Iterable, Sequence
from typing import cast

from confluent_kafka import KafkaError, Message, TopicPartition

from streams.kafka.admin import wait_for_topics
from streams.kafka.broker_errors import AUTHORIZATION, Right, is_fatal, kind_of
from streams.kafka.lasting_client import LastingClient
from streams.kafka.patience import Patience
from streams.kafka.problems import Problems
from streams.kafka.records import Partition, Record, to_partition, to_record


class Batches:
    """What one consumer reads. Only its polling thread uses it.

    Args:
        client: the client of the consumer.
        right: the right to use its group.
        patience: how long to wait for a topic.
        problems: the problems of the client, which explain a failure.
        max_records: largest batch.
        fill_s: seconds to wait for more records after the first.
    """

    def __init__(
        self,
        client: LastingClient,
        right: Right,
        patience: Patience,
        problems: Problems,
        *,
        max_records: int,
        fill_s: float,
    ) -> None:
        self._client, self._right_to_group = client, right
        self._patience, self._problems = patience, problems
        self._max_records, self._fill_s = max_records, fill_s

    def fetch(self, timeout_s: float) -> list[Message]:
        """Return the next messages of the present assignment; this runs the callbacks.

        A rebalance within ``consume`` leaves messages from before it in the batch. None of them was applied.
        So all are dropped, and those of partitions that are still ours are read again.
        """
        first = self._problems.serve(lambda: self._client.current.poll(timeout_s))
        self._client.kept.raise_first()
        if first is None:
            return []
        n_assignments = self._client.n_assignments
        messages = [first, *self._problems.serve(self._fetch_more)]
        self._client.kept.raise_first()
        if self._client.n_assignments == n_assignments:
            return messages
        if self._client.assigned:
            self._client.begin_reading()
        return []

    def records(self, messages: Sequence[Message]) -> list[Record]:
        """Return the records among the messages, and note how far they and the ends of partitions reach.

        Raises:
            TopicError: a topic is missing.
            BrokerUnavailableError: the client failed for good.
            BrokerRefusedError: a right is missing.
        """
        good = [message for message in messages if message.error() is None]
        ends = dict(map(_place, self._drop_errors(messages))) if len(good) < len(messages) else {}
        records = [to_record(message) for message in good]
        last = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._client.positions.note_read({Partition(*key): offset for key, offset in last.items()})
        self._client.positions.note_ends(ends)
        self._step_over_markers()
        return records

    def report(self, message: Message, error: KafkaError) -> None:
        """Report an error that came in the place of a record; the errors raised are those of ``records``."""
        topic = str(message.topic())
        if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            wait_for_topics(self._client.current, [topic], self._patience, self._problems)
        if is_fatal(error) or kind_of(error) == AUTHORIZATION:
            raise self._problems.failure(error, self._patience.limit_s, self._right(error, topic))
        self._problems(error)

    def _fetch_more(self) -> list[Message]:
        return self._client.current.consume(self._max_records - 1, self._fill_s)

    def _drop_errors(self, messages: Iterable[Message]) -> list[Message]:
        """Return the messages that tell the end of a partition; report errors."""
        found = [(message, error) for message in messages if (error := message.error()) is not None]
        for message, error in found:
            if error.code() != KafkaError._PARTITION_EOF:
                self.report(message, error)
        return [message for message, error in found if error.code() == KafkaError._PARTITION_EOF]

    def _step_over_markers(self) -> None:
        """Ask the client for its positions, which are beyond the markers of transactions.

        Right after an assignment they may still be those of the one before. So only partitions of which
        something was read since then are asked for.
        """
        positions = self._client.positions
        if known := [TopicPartition(*partition) for partition in positions.read]:
            found = self._client.current.position(known)
            positions.note_steps({to_partition(one): one.offset for one in found})

    def _right(self, error: KafkaError, topic: str) -> Right:
        """Return the right that is missing if this is an error of authorization."""
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return self._right_to_group
        return Right("Read", "topic", topic or next((one.topic for one in self._client.assigned), ""))


def _place(message: Message) -> tuple[Partition, int]:
    return Partition(str(message.topic()), cast(int, message.partition())), cast(int, message.offset())
