"""The requests thread: answers beside ingest, from the same state, without waiting for its batches.

It reads the partitions whose users this worker owns and knows completely, and no group membership of its own:
so a request always meets the worker that has the user's ratings.
"""

import logging
import time
from collections.abc import Sequence

from dch.recommender import Recommender
from streams import topics
from streams.errors import BadRecord
from streams.kafka import Consumer, Partition, Producer
from streams.kafka.dead_letters import dead_letter
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output, Record
from streams.messages import RecommendReply, RecommendRequest, decode_request
from streams.messages.headers import ReplyAddress
from streams.metrics import REQUEST_DURATION_SECONDS, REQUESTS_EXPIRED
from streams.worker.context import Service, now_ms
from streams.worker.counters import count_dead_letter, count_events
from streams.worker.outputs import FORWARDED, forwarded
from streams.worker.replies import address_of, error_output, output_of, try_reply_to

log = logging.getLogger("streams.worker")

POLL_S = 0.05
"""Longest wait for a request: a change of the partitions to read is noticed after this."""

AT_ONCE = 64
"""Most requests of one poll: the last of them waits for all before it."""

COMMIT_EVERY_S = 1.0


def run_requests(service: Service) -> None:
    """Answer requests until told to stop."""
    settings = service.settings
    consumer = Consumer(
        settings, group=service.group + "-requests", start="latest", max_records=AT_ONCE, fill_s=0.0
    )
    # Somebody waits for each reply, so none waits for company; and an asker that names a topic which is not
    # there must not stop the worker.
    producer = Producer(settings, linger_ms=0, must_deliver=False)
    try:
        Requests(service, consumer, producer).run()
    finally:
        consumer.close()
        producer.close()


class Requests:
    """One worker's answering half."""

    def __init__(self, service: Service, consumer: Consumer, producer: Producer) -> None:
        self._service, self._settings = service, service.settings
        self._consumer, self._producer = consumer, producer
        self._topic = self._settings.topic(topics.REQUESTS.name)
        self._starts: dict[Partition, int] = {}
        self._tried_at = self._committed_at = time.monotonic()

    def run(self) -> None:
        """Answer requests until told to stop; every one that was read gets its reply first."""
        while not self._service.stop.is_set():
            if self._service.serving != self._service.caught_up:
                self._read(self._service.caught_up)
            if not self._service.serving:
                self._service.stop.wait(POLL_S)
                continue
            self._answer_all(self._consumer.poll(POLL_S))
        self._commit()

    def _read(self, partitions: frozenset[int]) -> None:
        """Read other partitions than before; from the end where nobody has answered anything yet.

        The end is looked up here and now: were it left to the consumer, a request that comes just after we
        say that we are ready would be before it.
        """
        self._commit()
        places = [Partition(self._topic, number) for number in sorted(partitions)]
        gained = [place for place in places if place not in self._starts]
        committed, ends = self._consumer.committed(gained), self._consumer.end_offsets(gained)
        self._starts = {
            place: self._consumer.position(place) or self._starts[place]
            if place in self._starts
            else committed[place] or ends[place]
            for place in places
        }
        self._consumer.assign(self._starts)
        self._service.serving = partitions
        log.info("answering requests partitions=%s", sorted(partitions))

    def _answer_all(self, records: Sequence[Record]) -> None:
        recommender = self._service.recommender
        assert recommender is not None, "partitions are caught up only once there is a recommender"
        started = time.perf_counter()
        for record in records:
            self._answer(recommender, record, started)
        self._producer.poll()
        if time.monotonic() - self._tried_at > COMMIT_EVERY_S:
            self._commit()

    def _answer(self, recommender: Recommender, record: Record, started: float) -> None:
        strategy = "none"
        try:
            request, address = decode_request(record), address_of(self._settings, record)
            strategy = request.strategy
            outcome = self._send_home(record, request) or self._reply(recommender, record, request, address)
        except BadRecord as reason:
            self._refuse(record, reason)
            outcome = "error"
        if outcome != "expired":
            taken = time.perf_counter() - started
            REQUEST_DURATION_SECONDS.labels(strategy, outcome).observe(taken)

    def _send_home(self, record: Record, request: RecommendRequest) -> str:
        """Forward a request to the partition of its user, if another worker has that one."""
        if request.user is None:
            return ""
        home = partition_for(request.user.encode(), self._settings.partitions)
        if home in self._service.serving or any(name == FORWARDED for name, _ in record.headers):
            return ""
        self._producer.send(forwarded(record, home, record.key))
        count_events(self._service, record.topic, forwarded=1)
        return "forwarded"

    def _reply(
        self, recommender: Recommender, record: Record, request: RecommendRequest, address: ReplyAddress
    ) -> str:
        now = now_ms()
        if request.deadline is not None and request.deadline < now:
            REQUESTS_EXPIRED.inc()
            return "expired"
        reply = try_reply_to(recommender, request, self._service.staleness_s(now))
        self._send(output_of(address, record, reply))
        count_events(self._service, record.topic, applied=1)
        return "ok" if isinstance(reply, RecommendReply) else "error"

    def _refuse(self, record: Record, reason: BadRecord) -> None:
        """Answer a bad request with its fault, and keep it as a dead letter."""
        self._send(error_output(self._settings, record, reason))
        self._send(dead_letter(record, reason, group=self._service.group))
        count_dead_letter(self._service, record.topic, reason.reason)

    def _send(self, output: Output) -> None:
        self._producer.send(output)

    def _commit(self) -> None:
        """Commit what was answered; a reply must be on the broker before its request is done with.

        While replies are on their way, the next commit covers them. Yet not for ever: one that is older than
        the delivery timeout has failed, and an asker who goes on naming a topic that is not there must not
        hold up the others.
        """
        self._producer.flush()
        self._tried_at = time.monotonic()
        waited_s = self._tried_at - self._committed_at
        if self._producer.n_waiting and waited_s < self._settings.delivery_timeout_s:
            return
        self._consumer.commit()
        self._committed_at = self._tried_at
