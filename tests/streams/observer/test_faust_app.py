"""What the observer counts and acknowledges around rebalances, without Kafka: its clients are fakes."""

import asyncio
import threading
from collections import defaultdict
from types import SimpleNamespace

import pytest
from faust.types import TP
from prometheus_client import REGISTRY

from streams.errors import BrokerUnavailableError, DeliveryError, TopicError
from streams.kafka import BEGINNING, Partition, Patience
from streams.kafka.end_offsets import End
from streams.kafka.outbox import Outbox
from streams.kafka.records import Record
from streams.messages import decode_kept
from streams.observer import faust_consumer
from streams.observer.changelog import ChangelogReader
from streams.observer.faust_app import MAX_WAITING, ObserverApp, to_record
from streams.observer.faust_consumer import BatchConsumer
from streams.settings import ObserverSettings
from tests.streams.observer.served_records import a_list, a_record

COMMITTED = 2
SETTINGS = ObserverSettings(bootstrap_servers="kafka:9092", prefix="t-")


class FakeConsumer:
    """A consumer of the changelog, two records a poll. ``log`` has the records of each partition."""

    log, starts = {}, []

    def __init__(self, settings, *, group, start, patience):
        self.at, self.is_closed = {}, False

    def assign(self, starts):
        FakeConsumer.starts.append({one.partition: start for one, start in starts.items()})
        self.at = {one: max(start, 0) for one, start in starts.items()}

    def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions):
        return {one: len(self.log[one.partition]) for one in partitions}

    def committed(self, partitions):
        return dict.fromkeys(partitions, COMMITTED)

    def poll(self):
        for one, at in self.at.items():
            if found := self.log[one.partition][at : at + 2]:
                self.at[one] += len(found)
                return found
        return []

    def position(self, partition):
        return self.at.get(partition)

    def is_at_end(self, partition):
        return False

    def close(self):
        assert not self.is_closed
        self.is_closed = True


class Broker:
    """A producer; what was flushed is on the broker."""

    def __init__(self):
        self.sent, self.n_flushed, self.error = [], 0, None

    def send(self, output):
        self.sent.append(output)

    def flush(self):
        if self.error is not None:
            raise self.error
        self.n_flushed = len(self.sent)


def a_message(served, offset, partition=0, generation_id=0):
    """Return a message of Faust, fetched in a generation of the group."""
    found = a_record(served, partition, offset, "t-served")
    fields = {name: getattr(found, name) for name in ("topic", "partition", "offset", "key", "value")}
    fields |= {"timestamp": found.timestamp_ms / 1000, "headers": [], "generation_id": generation_id}
    return SimpleNamespace(**fields)


class FaustConsumer:
    """Notes for each acknowledged message how many records were on the broker by then."""

    def __init__(self, broker):
        self.broker, self.acked = broker, {}

    def ack(self, message):
        self.acked[message.partition, message.offset] = self.broker.n_flushed


@pytest.fixture(autouse=True)
def _log(monkeypatch):
    monkeypatch.setattr("streams.observer.changelog.Consumer", FakeConsumer)
    FakeConsumer.log, FakeConsumer.starts = {0: [], 1: []}, []


def changelog(partition, n):
    found = [a_record(a_list(offset=at), partition, at, "t-observer-changelog") for at in range(n)]
    FakeConsumer.log[partition] = found


def read(reader, owned, is_current=lambda: True):
    return asyncio.run(reader.read(owned, is_current))


def test_the_changelog_is_read_to_its_end_and_after_a_rebalance_from_there():
    found = []
    reader = ChangelogReader(SETTINGS, Patience(1), found.append)
    changelog(0, 5), changelog(1, 3)
    assert read(reader, [0, 1])
    assert [(one.partition, one.offset) for one in sorted(found, key=lambda one: one.position)] == [
        *((0, at) for at in range(5)),
        *((1, at) for at in range(3)),
    ]
    changelog(0, 7)
    assert read(reader, [0])
    assert [one.offset for one in found[8:]] == [5, 6]
    assert read(reader, [0, 1])
    assert FakeConsumer.starts == [{0: BEGINNING, 1: BEGINNING}, {0: 5}, {0: 7, 1: BEGINNING}]
    assert read(reader, [])


def test_reading_ends_early_when_the_partitions_belong_to_another_observer():
    found = []
    reader = ChangelogReader(SETTINGS, Patience(1), found.append)
    changelog(0, 5)
    assert not read(reader, [0], lambda: len(found) < 2)
    assert [one.offset for one in found] == [0, 1]
    assert read(reader, [0])  # what was read is kept, and the rest follows
    assert [one.offset for one in found] == [0, 1, 2, 3, 4]


def with_app(work, tmp_path):
    """Run ``work(app, broker)`` beside the tasks of an app that is not connected to any broker."""

    async def run():
        broker = Broker()
        outbox = Outbox(SETTINGS, broker, group="t-observer")
        app = ObserverApp(SETTINGS, outbox, Patience(1), str(tmp_path))
        app.app.consumer = FaustConsumer(broker)
        tasks = [asyncio.create_task(app.guarded(one)) for one in (app._acknowledge(), app._restore())]
        try:
            async with asyncio.timeout(20):
                return await work(app, broker)
        finally:
            for task in tasks:
                task.cancel()

    return asyncio.run(run())


def test_the_consumer_logs_under_the_name_of_its_module(tmp_path):
    """Its class is made for each app; without a name of its own Faust would log as `abc`, at every level."""

    async def work(app, broker):
        await assign(app, 0)
        await until(lambda: app.is_restored)
        return app.app.transport.Consumer.logger.name

    assert with_app(work, tmp_path) == "streams.observer.faust_consumer"


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


async def assign(app, *partitions):
    await app._on_revoked(app.app, set(), signal=None)
    await app._on_assigned(app.app, {TP("t-served", one) for one in partitions}, signal=None)


def n_lists(app, partition=0):
    return len(app.observer.partitions[partition].lists.kept.time)


async def take(app, *offsets, partition=0):
    """Hand over a batch of lists, as Faust's consumer does."""
    await app._take([a_message(a_list(offset=at), at, partition) for at in offsets])


def acked(app):
    return app.app.consumer.acked


def kept(broker, name="t-observer-changelog"):
    """Return the lists and ratings in the changelog, with their partitions."""
    return [
        (one.partition, found.offset)
        for one in broker.sent
        if one.topic == name
        for found in decode_kept(a_record(one.value))
    ]


def test_a_batch_is_acknowledged_once_its_changelog_records_are_on_the_broker(tmp_path):
    async def work(app, broker):
        await assign(app, 0, 1)
        batch = [a_message(a_list(offset=at), at, at % 2) for at in range(6)]
        await app._take([*batch, a_message(b"{}", 6)])
        await until(lambda: len(acked(app)) == 7)
        assert set(acked(app).values()) == {len(broker.sent)}
        assert kept(broker) == [(0, 0), (0, 2), (0, 4), (1, 1), (1, 3), (1, 5)]
        return [(one.topic, one.key, one.partition) for one in broker.sent]

    letters = [("t-served-dlt", b"", 0)]
    expected = [("t-observer-changelog", f"list-0-{at}".encode(), at) for at in range(2)]
    assert with_app(work, tmp_path) == expected + letters


@pytest.mark.parametrize("served", [a_list(), b"{}"], ids=["changelog", "dead letter"])
def test_a_producer_whose_queue_is_full_does_not_stop_the_event_loop(tmp_path, monkeypatch, served):
    """Heartbeats and readiness come from that loop: the group would take the partitions away."""
    has_room = threading.Event()

    def send(self, output):
        assert has_room.wait(5), "the event loop, which makes room here, waits for the producer"
        self.sent.append(output)

    monkeypatch.setattr(Broker, "send", send)

    async def work(app, broker):
        await assign(app, 0)
        await app._take([a_message(served, 0)])
        assert (broker.sent, acked(app)) == ([], {})
        has_room.set()
        await until(lambda: acked(app) or app.failure is not None)
        return app.failure, acked(app)

    assert with_app(work, tmp_path) == (None, {(0, 0): 1})


def test_nothing_is_acknowledged_whose_changelog_record_is_lost(tmp_path):
    async def work(app, broker):
        broker.error = DeliveryError("lost")
        await assign(app, 0)
        await take(app, 0)
        await until(lambda: app.failure is not None)
        return app.failure, acked(app)

    failure, found = with_app(work, tmp_path)
    assert isinstance(failure, DeliveryError)
    assert found == {}


def test_a_batch_whose_counting_fails_ends_the_observer_and_is_not_acknowledged(tmp_path, monkeypatch):
    def fail(records):
        raise ZeroDivisionError

    async def work(app, broker):
        await assign(app, 0)
        monkeypatch.setattr(app.observer, "observe", fail)
        taking = asyncio.create_task(take(app, 0))
        await until(lambda: app.failure is not None)
        taking.cancel()
        return app.failure, acked(app)

    failure, found = with_app(work, tmp_path)
    assert isinstance(failure, ZeroDivisionError)
    assert found == {}


def test_few_batches_wait_for_the_broker_and_a_cancelled_one_is_not_counted(tmp_path, monkeypatch):
    is_slow = threading.Event()
    monkeypatch.setattr(Broker, "flush", lambda self: is_slow.wait(10))

    async def work(app, broker):
        await assign(app, 0)
        for at in range(MAX_WAITING):
            await take(app, at)
        late = asyncio.create_task(take(app, MAX_WAITING))
        await asyncio.sleep(0.05)
        assert not late.done()
        late.cancel()
        is_slow.set()
        await until(lambda: len(acked(app)) == MAX_WAITING)
        return n_lists(app)

    assert with_app(work, tmp_path) == MAX_WAITING


def test_records_wait_for_the_changelog_and_those_of_an_assignment_before_are_left_to_the_owner(tmp_path):
    async def work(app, broker):
        changelog(0, 3)
        early = asyncio.create_task(take(app, 9, partition=1))
        await asyncio.sleep(0)
        await assign(app, 0)
        await early
        assert app.is_restored
        assert list(app.observer.partitions) == [0]
        assert n_lists(app) == 3
        await take(app, 3)
        await app._on_revoked(app.app, set(), signal=None)
        assert not app.is_restored
        late = asyncio.create_task(take(app, 4))
        await asyncio.sleep(0)
        await assign(app, 1)
        await late
        await take(app, 5, partition=0)
        assert list(app.observer.partitions) == [1]
        await until(lambda: acked(app))
        return kept(broker)

    assert with_app(work, tmp_path) == [(0, 3)]


def test_messages_that_were_fetched_before_a_rebalance_are_left_to_be_read_again(tmp_path):
    """Faust goes back to the committed offset. Else a gap before them could be committed."""

    async def work(app, broker):
        await assign(app, 0)
        app.app.consumer_generation_id = 1
        await app._take([a_message(a_list(offset=at), at, generation_id=at // 2) for at in range(4)])
        await until(lambda: acked(app))
        return kept(broker)

    assert with_app(work, tmp_path) == [(0, 2), (0, 3)]


def test_batches_are_read_in_order_and_offsets_without_a_message_are_gaps(tmp_path):
    """What was read before is left out."""

    class Faust(BatchConsumer):
        def __init__(self, fetches):
            self.fetches, self.taken, self.gaps = fetches, [], []
            self._read_offset = defaultdict(lambda: None)

        consumer_stopped_errors = ()
        should_stop = property(lambda self: not self.fetches)

        async def getmany(self, timeout):
            for tp, offset in self.fetches.pop(0):
                yield tp, SimpleNamespace(partition=tp.partition, offset=offset)

        async def _add_gap(self, tp, first, last):
            self.gaps.append((tp.partition, first, last))

        async def take(self, batch):
            self.taken.append([(one.partition, one.offset) for one in batch])

    one, other = TP("t-served", 0), TP("t-served", 1)
    fetches = [
        [(one, 5), (other, 0), (one, 6)],
        [],
        [(one, 9), (one, 8), *((other, at) for at in range(1, 4))],
    ]
    consumer = Faust(fetches)
    asyncio.run(consumer._drain_messages(SimpleNamespace(should_stop=False)))
    assert consumer.taken == [[(0, 5), (1, 0), (0, 6)], [(0, 9), (1, 1), (1, 2), (1, 3)]]
    assert consumer.gaps == [(0, 7, 8)]


class Unreadable(BatchConsumer):
    """A consumer at a header that aiokafka cannot read; ``work`` is done while our own client reads."""

    def __init__(self, work=lambda: None):
        self.app, self.moves, self.work = SimpleNamespace(consumer_generation_id=1), [], work
        self._read_offset = defaultdict(lambda: None, {TP("t-served", 0): 4})
        self._thread = self

    async def getmany(self, active_partitions, timeout):
        raise UnicodeDecodeError("utf-8", b"caf\xe9", 3, 4, "unexpected end of data")

    async def call_thread(self, call, *args):
        call(*args)

    def move(self, offsets):
        self.moves.append(offsets)

    def read_on(self, starts):
        self.work()
        assert starts == {Partition("t-served", 0): 4, Partition("t-served", 1): BEGINNING}
        record = Record("t-served", 0, 5, b"u1", b"{}", 1000, (), "expected names in UTF-8")
        return [record], {Partition("t-served", 0): 6, Partition("t-served", 1): 0}


SERVED = {TP("t-served", 0), TP("t-served", 1)}


def test_our_own_client_reads_on_where_aiokafka_cannot_and_faust_goes_on_behind_that():
    consumer = Unreadable()
    found = asyncio.run(consumer._getmany(SERVED, 1.0))
    assert consumer.moves == [{TP("t-served", 0): 6, TP("t-served", 1): 0}]
    ((tp, (fetched,)),) = found.items()
    assert (tp, fetched.offset, fetched.timestamp) == (TP("t-served", 0), 5, 1000)
    assert to_record(fetched).fault == "expected names in UTF-8"


def test_what_our_own_client_read_during_a_rebalance_is_dropped_and_nothing_is_moved():
    """Faust goes to the committed offsets then; a move after that would leave records out."""
    consumer = Unreadable(lambda: setattr(consumer.app, "consumer_generation_id", 2))
    assert asyncio.run(consumer._getmany(SERVED, 1.0)) == {}
    assert consumer.moves == []


def test_a_partition_whose_committed_offset_is_beyond_its_end_is_read_from_its_beginning(caplog):
    """Its topic was created again. Faust alone leaves out what comes before the committed offset."""
    same, shorter, new = (TP("t-served", number) for number in range(3))

    class Thread:
        """What Faust's consumer asks of its thread."""

        async def seek_to_committed(self):
            return {same: 5, shorter: 9, new: None}

        async def highwaters(self, *partitions):
            assert set(partitions) == {same, shorter}
            return {same: 5, shorter: 4}

        async def earliest_offsets(self, *partitions):
            assert partitions == (shorter,)
            return {shorter: 2}

        def seek(self, partition, offset):
            sought.append((partition, offset))

    class Faust(BatchConsumer):
        def __init__(self):
            self._thread, self.log = Thread(), SimpleNamespace(dev=lambda *found: None)
            self._read_offset, self._committed_offset = (defaultdict(lambda: None) for _ in range(2))
            self.app = SimpleNamespace(conf=SimpleNamespace(broker_request_timeout=20.0))

        async def _add_gap(self, tp, first, last):
            raise AssertionError("nothing lies between")

    sought, consumer = [], Faust()

    async def work():
        await consumer.perform_seek()
        return [await consumer._is_next(*place) for place in ((same, 4), (same, 5), (shorter, 2), (new, 0))]

    assert asyncio.run(work()) == [False, True, True, True]
    assert sought == [(shorter, 2)]
    assert consumer._committed_offset[same] == 5
    assert consumer._committed_offset[shorter] is None
    assert "beyond the end topic=t-served partition=1 committed=9 end=4" in caplog.text


def seek_without_answer(monkeypatch, work):
    """Return what comes of a look at offsets that no broker answers."""
    monkeypatch.setattr(faust_consumer, "SIGNAL_S", 0.05)

    class Thread:
        async def seek_to_committed(self):
            return {TP("t-served", 0): 5}

        async def highwaters(self, *partitions):
            await asyncio.Event().wait()

    class Faust(BatchConsumer):
        def __init__(self, signal):
            self._thread, self.log = Thread(), SimpleNamespace(dev=lambda *found: None)
            self._read_offset, self._committed_offset = {}, {}
            tables = SimpleNamespace(recovery=SimpleNamespace(signal_recovery_start=signal))
            self.app = SimpleNamespace(tables=tables, conf=SimpleNamespace(broker_request_timeout=0.02))

    async def look():
        signal = asyncio.Event()
        return await work(Faust(signal), signal)

    return asyncio.run(look())


def test_a_look_at_offsets_that_takes_too_long_makes_faust_begin_its_recovery_again(monkeypatch):
    """Faust gives up after a timeout of its own, and then never reads again."""

    async def recover(consumer, signal):
        seeking = asyncio.ensure_future(consumer.perform_seek())
        await asyncio.wait([seeking, asyncio.ensure_future(signal.wait())], return_when="FIRST_COMPLETED")
        is_done = seeking.done()
        seeking.cancel()
        return signal.is_set(), is_done

    assert seek_without_answer(monkeypatch, recover) == (True, False)


def test_a_look_at_offsets_outside_of_a_recovery_ends_with_an_error(monkeypatch):
    """Faust looks also where it reads messages, and nothing cancels that look."""

    async def read(consumer, signal):
        with pytest.raises(TimeoutError):
            await consumer.perform_seek()
        return signal.is_set()

    assert seek_without_answer(monkeypatch, read)


def test_partitions_that_were_added_end_the_observer_because_they_have_no_changelog(tmp_path):
    async def work(app, broker):
        await assign(app, 0, SETTINGS.partitions)
        await until(lambda: app.failure)
        return app.failure

    n = SETTINGS.partitions
    failure = with_app(work, tmp_path)
    assert isinstance(failure, TopicError)
    assert f"topic t-served has {n + 1} partitions, expected {n}" in str(failure)


def test_a_changelog_that_cannot_be_read_stops_the_observer(tmp_path, monkeypatch):
    def fail(self):
        raise BrokerUnavailableError("no broker")

    monkeypatch.setattr(FakeConsumer, "poll", fail)

    async def work(app, broker):
        changelog(0, 1)
        await assign(app, 0)
        await until(lambda: app.failure is not None)
        return app.failure, app.is_restored

    failure, is_restored = with_app(work, tmp_path)
    assert isinstance(failure, BrokerUnavailableError)
    assert not is_restored


class Ends:
    """Every partition ends at this offset, as its leader says."""

    def __init__(self, offset):
        self.offset = offset

    def look(self, partitions):
        return {one: End(self.offset, 0) for one in partitions}


def test_the_lag_counts_from_the_committed_offset_to_the_end_that_the_leader_gives(tmp_path):
    def lag(partition):
        labels = {"topic": "served", "partition": str(partition)}
        return REGISTRY.get_sample_value("dch_consumer_lag_records", labels)

    async def work(app, broker):
        app._ends, found = Ends(COMMITTED + 3), []
        await assign(app, 0, 1)
        await until(lambda: app.is_restored)
        await app.show()
        found.append((lag(0), lag(1)))
        for at in range(COMMITTED, COMMITTED + 3):
            await take(app, at)
        await app.show()
        found.append((lag(0), lag(1)))
        await assign(app, 1)
        await until(lambda: app.is_restored)
        await app.show()
        return [*found, (lag(0), lag(1))]

    assert with_app(work, tmp_path) == [(3, 3), (0, 3), (None, 3)]
