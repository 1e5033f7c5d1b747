"""The requests thread: answers requests from the state that ingest writes, without waiting for its batches.

It reads exactly the partitions of `requests` whose ratings and users this worker owns and has fully read, so
a request is answered from all ratings of its user. It assigns itself these partitions: it is not a member of
a consumer group, but commits its offsets under a group name.

A request of a partition that is not caught up waits in Kafka, however long that takes, unless its deadline
passes. Ingest may lose a partition while its requests are answered. What was answered meanwhile is not sent,
and these requests are read again, by this worker or by the next owner. The same holds while the worker may
have stood still for so long that others own its partitions.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from dch.recommender import Recommender
from streams import topics
from streams.errors import BadRecord, RequestTooHeavy
from streams.kafka import BEGINNING, Consumer, Partition, Producer
from streams.kafka.lag import Lag
from streams.kafka.outbox import REPARTITIONED_HEADER, Outbox, is_repartitioned
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import (
    ErrorReply,
    RecommendReply,
    RecommendRequest,
    RequestLimits,
    decode_request,
    size_of,
)
from streams.messages.headers import ReplyAddress, trace_id
from streams.metrics import REQUEST_DURATION_SECONDS, REQUESTS_EXPIRED
from streams.worker.context import WorkerContext, now_ms
from streams.worker.counters import GAUGE_INTERVAL_S, count_events, timed
from streams.worker.replies import address_of, error_record, replies_to, reply_record
from streams.worker.served import ServedSample

log = logging.getLogger("streams.worker")

POLL_S = 0.05
"""Longest wait for a request. A change of the assigned partitions is noticed after this time at most."""

MAX_REQUESTS_PER_POLL = 64
"""Small, because the last request of a poll waits until all before it are answered."""

SHARED = 32
"""Requests that are answered together: their searches share one pass over the item codes."""

LONG_BYTES = 16 << 10
"""A request with more bytes is long: it is parsed only after the short ones are answered."""

LONG_WORK = 500
"""A request that names and asks for more ids than this is long too."""

MAX_LONG_WAITING = 8
"""Long requests that wait while newer short ones are answered. With more, the oldest are answered first."""

COMMIT_INTERVAL_S = 5.0
"""Time between two commits. They are rare, because a request that comes during one waits for it: some
milliseconds, as brokers replicate commits."""


def run_requests(context: WorkerContext) -> None:
    """Answer requests until stopped."""
    settings, group = context.settings, context.group + "-requests"
    consumer = Consumer(
        settings,
        group=group,
        start="earliest",  # of what is kept, where retention has deleted the next request meanwhile
        max_records=MAX_REQUESTS_PER_POLL,
        fill_s=0.0,
        patience=context.patience,
    )
    replies = Producer(  # linger 0: replies are latency-critical
        settings, linger_ms=0, reply_timeout_s=settings.delivery_timeout_s, patience=context.patience
    )
    producer = Producer(settings, linger_ms=0, patience=context.patience)  # dead letters must be delivered
    try:
        Requests(context, consumer, replies, producer).run()
    finally:
        for client in (consumer, replies, producer):
            client.close()


class Asked(NamedTuple):
    """A request that can be answered."""

    record: Record
    request: RecommendRequest
    address: ReplyAddress
    owner: int
    """The partition whose state the reply rests on."""


class Requests:
    """Reads requests and sends their replies. Only the requests thread uses it.

    Long requests wait behind short ones: after each poll its short ones are answered, together, and then one
    long one. A partition is committed up to its first request that waits.
    """

    def __init__(
        self, context: WorkerContext, consumer: Consumer, replies: Producer, producer: Producer
    ) -> None:
        self._context, self._settings = context, context.settings
        self._consumer, self._replies = consumer, replies
        self._outbox = Outbox(self._settings, producer, group=context.group)
        self._served = ServedSample(
            self._settings, Outbox(self._settings, replies, group=context.group)
        )  # a sample may have gaps
        self._topic = self._settings.topic(topics.REQUESTS.name)
        self._limits = RequestLimits(
            self._settings.max_request_bytes, self._settings.max_request_ids, self._settings.max_k
        )
        self._long: deque[tuple[Record, float]] = deque()  # each with when it was read, oldest first
        self._starts: dict[Partition, int] = {}
        self._put_off: dict[Partition, int] = {}  # first request of a partition that has to be read again
        self._tried_at = self._committed_at = self._shown_at = time.monotonic()
        self._lag = Lag(self._settings.prefix)

    def run(self) -> None:
        """Answer requests until stopped. Every request that was read gets its reply before the end."""
        while not self._context.stop.is_set():
            answerable = self._context.answerable
            if self._put_off or self._context.serving != answerable:
                self._read(answerable)
            if not self._context.serving:
                self._show_lag([])
                self._context.stop.wait(POLL_S)
                continue
            self._answer_all(records := self._consumer.poll(0.0 if self._long else POLL_S))
            self._show_lag(records)
        self._answer_long(leave=0)
        self.commit()

    def commit(self) -> None:
        """Commit the requests whose replies, dead letters and repartitioned records are acknowledged.

        While replies are unacknowledged nothing is committed; the next commit covers them. This ends at the
        delivery timeout, because a reply older than that has failed: a client that keeps naming a missing
        reply topic must not hold up the commits of the others.
        """
        self._replies.flush()
        self._outbox.flush()
        self._tried_at = time.monotonic()
        waited_s = self._tried_at - self._committed_at
        if self._replies.n_waiting and waited_s < self._settings.delivery_timeout_s:
            return
        self._consumer.commit()
        self._committed_at = self._tried_at

    def _show_lag(self, records: Sequence[Record]) -> None:
        self._lag.note(records)
        if time.monotonic() - self._shown_at > GAUGE_INTERVAL_S:
            self._lag.show(self._consumer.lag(), self._starts, now_ms())
            self._shown_at = time.monotonic()

    def _read(self, numbers: frozenset[int]) -> None:
        """Read these partitions from now on, from the committed offset.

        A group without any commit is new: it begins at the end. In an older group, no request was answered of
        a partition without a commit: it is read from the beginning. So is one of which retention has deleted
        the next request: there the consumer begins at the first that is kept. Of a partition that has lost
        its last requests, those to come are read, from the end.

        The end offset is looked up here, before the worker reports ready. If the consumer looked it up later,
        a request sent in between would be skipped.
        """
        self._answer_long(leave=0)
        self.commit()
        partitions = [Partition(self._topic, number) for number in sorted(numbers)]
        gained = [one for one in partitions if one not in self._starts]
        everything = [Partition(self._topic, number) for number in range(self._settings.partitions)]
        committed, ends = self._consumer.committed_within(everything), self._consumer.end_offsets(partitions)
        is_new = all(offset < 0 for offset in committed.values())
        first = ends if is_new else dict.fromkeys(gained, BEGINNING)
        known = {one: self._consumer.position(one) or start for one, start in self._starts.items()}
        known |= self._put_off
        starts = {one: committed[one] if committed[one] >= 0 else first[one] for one in gained}
        self._starts = starts | {one: min(known[one], ends[one]) for one in partitions if one in known}
        self._put_off = {}
        self._consumer.assign(self._starts)
        self._context.serving = numbers
        log.info("answering requests partitions=%s", sorted(numbers))

    def _answer_all(self, records: Sequence[Record]) -> None:
        """Answer the short ones of these requests, and at least one long one, of these or of earlier ones."""
        is_commit_due = time.monotonic() - self._tried_at > COMMIT_INTERVAL_S
        with timed("requests"):
            self._answer_short(records, time.perf_counter())
            self._answer_long(leave=min(MAX_LONG_WAITING, len(self._long) - 1))
        self._replies.poll()
        if is_commit_due:
            self.commit()

    def _answer_short(self, records: Sequence[Record], started: float) -> None:
        """Answer the short ones of these requests, and let the others wait."""
        short = []
        for record in records:
            if LONG_BYTES < size_of(record) <= self._limits.n_bytes:
                self._long.append((record, started))
            elif found := self._to_answer(record, started):
                if found.request.work > LONG_WORK:
                    self._long.append((record, started))
                else:
                    short.append(found)
        for at in range(0, len(short), SHARED):
            self._answer(short[at : at + SHARED], started)

    def _answer_long(self, *, leave: int) -> None:
        """Answer the oldest long requests until this many wait. Each is sent before the next is parsed."""
        while len(self._long) > max(leave, 0):
            record, started = self._long.popleft()
            if found := self._to_answer(record, started):
                self._answer([found], started)
            self._replies.poll()
        waiting: dict[Partition, int] = {}
        for record, _ in self._long:
            place = Partition(record.topic, record.partition)
            waiting[place] = min(record.offset, waiting.get(place, record.offset))
        self._consumer.mark_applied(skip=self._put_off.keys(), waiting=waiting)

    def _answer(self, left: Sequence[Asked], started: float) -> None:
        """Answer requests together from complete state; hand over those that are not complete here.

        Ingest replaces ``caught_up`` before it drops any user. So replies rest on complete state if they were
        made while ``answerable`` did not change.
        """
        recommender = self._context.recommender
        assert recommender is not None, "partitions are caught up only once there is a recommender"
        while left:
            answerable = self._context.answerable
            left = [one for one in left if self._is_complete(one, answerable, started)]
            replies = self._make_replies(recommender, [one.request for one in left])
            if self._context.answerable is answerable:
                for one, reply in zip(left, replies, strict=True):
                    self._send(recommender, one, reply, started)
                return

    def _make_replies(
        self, recommender: Recommender, requests: Sequence[RecommendRequest]
    ) -> Sequence[RecommendReply | ErrorReply]:
        if missing := self._context.missing_model():
            return [ErrorReply(missing)] * len(requests)
        return replies_to(recommender, requests, self._context.staleness_s(now_ms()))

    def _send(
        self, recommender: Recommender, asked: Asked, reply: RecommendReply | ErrorReply, started: float
    ) -> None:
        self._replies.send(reply_record(asked.address, asked.record, reply))
        self._served.note_list(recommender.state, asked.record, reply)
        count_events(self._settings, asked.record.topic, applied=1)
        outcome = "ok" if isinstance(reply, RecommendReply) else "error"
        used = reply.strategy if isinstance(reply, RecommendReply) else asked.request.strategy
        _observe(asked.record, used or "default", outcome, started)

    def _to_answer(self, record: Record, started: float) -> Asked | None:
        """Return a request to answer; None if it was refused or dropped."""
        try:
            request, address = decode_request(record, self._limits), address_of(self._settings, record)
        except RequestTooHeavy as reason:
            self._replies.send(error_record(self._settings, record, reason))
            _observe(record, "none", "refused", started)
            return None
        except BadRecord as reason:
            self._refuse(record, reason, started)
            return None
        if request.deadline is not None and request.deadline < now_ms():
            REQUESTS_EXPIRED.inc()
            return None
        owner = record.partition
        if request.user is not None:
            owner = partition_for(request.user.encode(), self._settings.partitions)
        return Asked(record, request, address, owner)

    def _refuse(self, record: Record, reason: BadRecord, started: float) -> None:
        self._replies.send(error_record(self._settings, record, reason))
        self._outbox.dead_letter(record, reason)
        _observe(record, "none", "error", started)

    def _is_complete(self, asked: Asked, answerable: frozenset[int], started: float) -> bool:
        """Tell whether the state of a request is complete here; hand the request over if it is not."""
        record, owner = asked.record, asked.owner
        place = Partition(record.topic, record.partition)
        if place in self._put_off:
            self._put_off[place] = min(record.offset, self._put_off[place])  # long ones come late
            return False
        if owner in answerable:
            return True
        if owner == record.partition:
            self._put_off[place] = record.offset
        elif is_repartitioned(record):  # so that no request is repartitioned forever
            fault = f"repartitioned to partition {record.partition}, but partition {owner} owns the user"
            self._refuse(record, BadRecord(f"header {REPARTITIONED_HEADER}", fault, reason="header"), started)
        else:
            self._outbox.repartition(record, owner, record.key)
            _observe(record, asked.request.strategy or "default", "forwarded", started)
        return False


def _observe(record: Record, strategy: str, outcome: str, started: float) -> None:
    """Observe the time from the poll that read a request to its end."""
    seconds = time.perf_counter() - started
    REQUEST_DURATION_SECONDS.labels(strategy, outcome).observe(seconds, exemplar=_exemplar(record))


def _exemplar(record: Record) -> dict[str, str] | None:
    """Return the trace of a request, by which a slow one can be found among the traces of its client."""
    found = trace_id(record.headers)
    return None if found is None else {"trace_id": found}
