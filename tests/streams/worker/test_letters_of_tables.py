"""Every bad record of the global tables gets its dead letter, whoever owns its partition in between."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka import Partition
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import ModelPointer, decode_model_pointer, encode_model_pointer
from streams.settings import WorkerSettings
from streams.worker import global_tables, kept_letters
from streams.worker.context import WorkerContext
from streams.worker.global_tables import GlobalTables

SETTINGS = WorkerSettings(partitions=2)
BAD = b"no JSON"
POINTER = encode_model_pointer(
    ModelPointer(generation=1, location="x", sha256="0" * 64, watermarks={}, trained_at=1, metrics={})
)
KEYS = {partition_for(key, 2): key for key in (b"i0", b"i1", b"i2", b"i3")}


class Group:
    """The committed offsets of a consumer group, and the dead letters that were acknowledged."""

    def __init__(self):
        self.committed, self.letters = {}, []


class Client:
    """A consumer and a producer of one worker, which commit and write to the group."""

    def __init__(self, group):
        self.group, self.starts, self.read, self.applied, self.unsent = group, {}, {}, {}, []
        self.n_flushed = 0

    def committed(self, partitions):
        return {one: self.group.committed.get(one, 0) for one in partitions}

    committed_within = committed

    def assign(self, starts):
        """Read from other offsets; positions are unknown, and what was applied stays, until more is read."""
        self.starts, self.read = {one: max(offset, 0) for one, offset in starts.items()}, {}

    def position(self, partition):
        return self.read.get(partition)

    def next_offset(self, partition):
        return self.read.get(partition, self.starts.get(partition, 0))

    def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    end_offsets = beginning_offsets

    def mark_applied(self):
        self.applied |= self.read

    def commit(self, *, skip):
        for one, offset in self.applied.items():
            if one not in skip:
                self.group.committed[one] = max(self.group.committed.get(one, 0), offset)

    def send(self, output):
        self.unsent.append(output)

    def flush(self):
        self.group.letters += self.unsent
        self.unsent, self.n_flushed = [], self.n_flushed + 1


class Worker:
    """The tables thread of one worker, without its loop; it reads the last partitions first if told to."""

    def __init__(self, group, *, is_reversed=False):
        self.is_reversed = is_reversed
        self.context = WorkerContext(SETTINGS, threading.Event())
        self.client = Client(group)
        self.tables = GlobalTables(self.context, self.client, self.client)

    def read_up_to(self, log, end):
        for one in reversed(log) if self.is_reversed else log:
            start = self.client.next_offset(one)
            self.tables.process(log[one][start:end])
            while not self.context.table_queue.empty():
                self.context.table_queue.get()
            self.client.read[one] = max(start, min(end, len(log[one])))
        self.client.mark_applied()

    def commit(self):
        self.tables._commit_when_due()


@pytest.fixture(autouse=True)
def _always_due(monkeypatch):
    monkeypatch.setattr(global_tables, "COMMIT_INTERVAL_S", 0.0)


def log_of(n):
    """Return n records of each partition of all three topics; each second one is bad."""
    places = [Partition("models", 0)] + [
        Partition(name, number) for name in ("items", "item-codes") for number in range(SETTINGS.partitions)
    ]
    good = {"items": b"{}", "item-codes": None, "models": BAD}
    return {
        place: [
            Record(
                place.topic,
                place.partition,
                at,
                KEYS[place.partition],
                BAD if at % 2 else good[place.topic],
                1,
            )
            for at in range(n)
        ]
        for place in places
    }


def bad_of(log):
    return {
        (record.topic, record.partition, record.offset)
        for records in log.values()
        for record in records
        if record.value == BAD
    }


def lettered(group):
    found = [dict(letter.headers) for letter in group.letters]
    return [
        (
            one["kafka_dlt-original-topic"].decode(),
            int.from_bytes(one["kafka_dlt-original-partition"]),
            int.from_bytes(one["kafka_dlt-original-offset"]),
        )
        for one in found
    ]


def test_a_bad_record_read_by_the_old_owner_and_not_yet_written_is_written_by_the_new_one():
    group, log = Group(), log_of(4)
    old, new = Worker(group), Worker(group)
    old.context.owned, new.context.owned = frozenset({0, 1}), frozenset()
    for worker in (old, new):
        worker.read_up_to(log, 4)
    old.context.owned, new.context.owned = frozenset({0}), frozenset({1})  # within the second
    for worker in (old, new):
        worker.commit()
    assert sorted(lettered(group)) == sorted(bad_of(log))  # each once


def test_a_producer_without_letters_to_write_runs_its_callbacks_too():
    """They count and log its problems: a flush runs them."""
    worker = Worker(Group())
    for _ in range(2):
        worker.commit()
    assert worker.client.n_flushed == 2


def test_a_restarted_worker_writes_no_letter_again():
    group, log = Group(), log_of(4)
    for _ in range(2):
        worker = Worker(group)
        worker.context.owned = frozenset({0, 1})
        worker.read_up_to(log, 4)
        worker.commit()
    assert sorted(lettered(group)) == sorted(bad_of(log))


def test_values_of_bad_records_without_an_owner_are_kept_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(kept_letters, "MAX_KEPT_BYTES", len(BAD))
    group, log = Group(), log_of(6)
    worker = Worker(group)
    worker.read_up_to(log, 6)
    worker.context.owned = frozenset({0, 1})
    worker.commit()
    assert sorted(lettered(group)) == sorted(bad_of(log))
    kept = [letter.value for letter in group.letters]
    assert kept.count(BAD) == 2
    assert [dict(letter.headers)["dch-value-bytes"] for letter in group.letters if letter.value is None] == [
        str(len(BAD)).encode()
    ] * (len(kept) - 2)


def test_few_bad_records_without_an_owner_are_kept_and_the_others_are_read_again(monkeypatch):
    monkeypatch.setattr(kept_letters, "MAX_KEPT_RECORDS", 3)
    group, log = Group(), log_of(40)
    worker = Worker(group)
    n_kept = []
    for owned in [frozenset(), *[frozenset({0, 1})] * 40]:
        worker.context.owned = owned
        worker.read_up_to(log, 40)
        n_kept.append(len(worker.tables._letters.kept()))
        worker.commit()
    assert max(n_kept) == 3
    assert sorted(lettered(group)) == sorted(bad_of(log))
    assert group.committed == dict.fromkeys(log, 40)


def test_bad_records_of_models_before_the_first_model_are_few_and_its_pointers_are_told_once(monkeypatch):
    """Nobody owns a partition then, so nobody writes a dead letter."""
    monkeypatch.setattr(kept_letters, "MAX_KEPT_RECORDS", 3)
    told = []
    monkeypatch.setattr(
        global_tables.ModelFetcher, "read", lambda fetcher, record: told.append(pointer(record))
    )
    models, group = Partition("models", 0), Group()
    log = {models: [Record("models", 0, at, b"1", BAD if at % 2 else POINTER, 10**12) for at in range(40)]}
    worker = Worker(group)
    for owned in [frozenset(), frozenset(), *[frozenset({0})] * 20]:
        worker.context.owned = owned
        worker.read_up_to(log, 40)
        assert len(worker.tables._letters.kept()) <= 3
        worker.commit()
    assert sorted(lettered(group)) == sorted(bad_of(log))
    assert told == list(range(0, 40, 2))
    assert group.committed[models] == 40


def pointer(record):
    decode_model_pointer(record)
    return record.offset


def test_workers_that_are_full_of_the_bad_records_of_each_other_do_not_wait_for_each_other(monkeypatch):
    monkeypatch.setattr(kept_letters, "MAX_KEPT_RECORDS", 2)
    group, log = Group(), log_of(8)
    first, last = Worker(group, is_reversed=True), Worker(group)  # each reads what the other owns first
    first.context.owned, last.context.owned = frozenset({0}), frozenset({1})
    for _ in range(len(bad_of(log))):
        for worker in (first, last):
            worker.read_up_to(log, 8)
            worker.commit()
    assert sorted(lettered(group)) == sorted(bad_of(log))
    assert group.committed == dict.fromkeys(log, 8)


def test_bad_records_that_were_dropped_are_written_by_the_worker_if_it_becomes_their_owner(monkeypatch):
    monkeypatch.setattr(kept_letters, "MAX_KEPT_RECORDS", 2)
    group, log = Group(), log_of(8)
    worker = Worker(group, is_reversed=True)
    for owned in (frozenset({0}), frozenset({0, 1})):
        worker.context.owned = owned
        for _ in range(len(bad_of(log))):
            worker.read_up_to(log, 8)
            worker.commit()
        assert sorted(lettered(group)) == sorted(found for found in bad_of(log) if found[1] in owned)


def test_nothing_is_committed_by_what_was_applied_before_a_partition_is_read_again(monkeypatch):
    monkeypatch.setattr(kept_letters, "MAX_KEPT_RECORDS", 2)
    group, log = Group(), log_of(8)
    worker = Worker(group)
    worker.context.owned = frozenset({0})
    worker.read_up_to(log, 8)
    worker.commit()  # it begins again with partition 0, and reads nothing yet
    worker.context.owned = frozenset({0, 1})
    for _ in range(3):
        worker.commit()
    committed = {found for found in bad_of(log) if found[2] < group.committed.get(Partition(*found[:2]), 0)}
    assert committed <= set(lettered(group))


N = 8
steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sampled_from([0, 1]), st.integers(1, N)),
        st.tuples(st.just("commit"), st.sampled_from([0, 1]), st.none()),
        st.tuples(st.just("own"), st.integers(0, 1), st.integers(0, 1)),
        st.tuples(st.just("restart"), st.sampled_from([0, 1]), st.none()),
    ),
    max_size=30,
)


@pytest.mark.parametrize("limit", [2, kept_letters.MAX_KEPT_RECORDS])
@given(steps)
def test_no_offset_is_committed_past_a_bad_record_without_its_letter(limit, script):
    """Also where few bad records can be kept: then they are read again by their owner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_letters, "MAX_KEPT_RECORDS", limit)
        check_letters(script)


def check_letters(script):
    group, log = Group(), log_of(N)
    workers = [Worker(group), Worker(group, is_reversed=True)]
    owner_of = {0: 0, 1: 0}

    def share():
        for at, worker in enumerate(workers):
            worker.context.owned = frozenset(p for p, owner in owner_of.items() if owner == at)

    end = [("read", 0, N), ("read", 1, N), ("commit", 0, None), ("commit", 1, None)]
    for step, at, what in [*script, *end * len(bad_of(log))]:
        if step == "read":
            workers[at].read_up_to(log, what)
        elif step == "commit":
            workers[at].commit()
        elif step == "own":
            owner_of[at] = what
        else:
            workers[at] = Worker(group, is_reversed=at == 1)
        share()
        written = set(lettered(group))
        committed = {
            found for found in bad_of(log) if found[2] < group.committed.get(Partition(*found[:2]), 0)
        }
        assert committed <= written
    assert set(lettered(group)) == bad_of(log)
