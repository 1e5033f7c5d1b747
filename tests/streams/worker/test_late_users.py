"""Records of `users` in any order and partition: the newest one counts, by its time, and stays."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.kafka import Partition
from streams.kafka.records import Record
from streams.messages import RatingEvent, decode_user, encode_rating
from streams.trainer.rating_log import RatingLog
from tests.streams.worker.test_assignment import partitions
from tests.streams.worker.test_ingest_loop import RATINGS_0, USER, USERS_0, Clients, T, ingest_on

AGES = ("20", "30", None)
"""Features of the user; None is a tombstone."""

RATINGS = [
    Record("ratings", 0, at, USER.encode(), encode_rating(RatingEvent(USER, f"i{at}", 5.0, T + time)), T + 99)
    for at, time in enumerate((5, 15, 25, 35, 45, 55, 65))
]


def record(partition, offset, age, time):
    value = None if age is None else json.dumps({"age": age}).encode()
    return Record("users", partition, offset, USER.encode(), value, T + time)


class Topic:
    """The topic `users`, which workers write to as well."""

    def __init__(self, written):
        self.logs = {0: [], 1: [], 2: []}
        for partition, age, time in written:
            self.logs[partition].append(record(partition, len(self.logs[partition]), age, time))

    def write(self, outputs):
        for one in outputs:
            if one.topic == "users":
                log = self.logs[one.partition]
                log.append(
                    Record(
                        "users", one.partition, len(log), one.key, one.value, one.timestamp_ms, one.headers
                    )
                )

    def compacted(self, *, has_tombstones):
        """Return what compaction leaves: the last record of the key in each partition."""
        last = [log[-1] for log in self.logs.values() if log]
        return [one for one in last if has_tombstones or one.value is not None]


def read(ingest, clients, topic, order):
    """Read the partitions in an order, and then what is left of each."""
    n_read = dict.fromkeys(topic.logs, 0)
    while order := [one for one in order if n_read[one] < len(topic.logs[one])] or [
        one for one, log in topic.logs.items() if n_read[one] < len(log)
    ]:
        partition, *order = order
        ingest.process([topic.logs[partition][n_read[partition]]])
        n_read[partition] += 1
        assert n_read[partition] < 50, "the records that a worker writes again have no end"
        topic.write(clients.sent)
        clients.sent.clear()


def seen(ingest):
    """Return the features of the user, how many ratings are live, and up to when they are forgotten."""
    state = ingest._state
    rows = state.user_rows([USER])
    n_live = int(state.history.user_histories.n_live(rows)[0])
    return state.history.user_features.get(int(rows[0])), n_live, int(state.forgotten_before(rows)[0])


def expected(topic):
    """Return the same of a trainer, which reads all partitions and takes the newest record."""
    log = RatingLog()
    log.add_ratings(RATINGS)
    for found in (one for log_ in topic.logs.values() for one in log_):
        log.add_user(decode_user(found), found.timestamp_ms, found.offset)
    ratings, _ = log.ratings({})
    return log._user_features.get(USER), len(ratings), log._forgotten_users.get(USER)


def started(committed=()):
    clients = Clients(dict(committed))
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0, 1, 2))
    clients.move(RATINGS_0, 7)
    ingest.process(RATINGS)
    clients.sent.clear()
    return ingest, clients


written = st.lists(
    st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from(AGES), st.sampled_from(range(10, 70, 10))),
    min_size=1,
    max_size=5,
    unique_by=lambda found: found[2],
)


@given(written, st.lists(st.sampled_from([0, 1, 2]), max_size=6))
@example([(0, None, 40), (1, "30", 10)], [0])
@example([(0, "20", 40), (1, None, 20)], [0])
@settings(max_examples=60)
def test_the_newest_record_of_a_user_counts_and_survives_compaction(written, order):
    topic = Topic(written)
    ingest, clients = started()
    read(ingest, clients, topic, order)
    features, n_live, forgotten_before = expected(topic)
    found = seen(ingest)
    assert found[:2] == (features, n_live)
    if forgotten_before is not None:
        assert found[2] == forgotten_before
    ends = {Partition("users", number): len(log) for number, log in topic.logs.items()}
    for has_tombstones in (True, False):
        again, clients = started(ends)
        again.process(topic.compacted(has_tombstones=has_tombstones))
        assert seen(again)[0] == features
        assert clients.sent == []


def test_a_record_that_came_late_changes_nothing_for_a_worker_that_gains_the_user_again():
    """What it knew of the user is gone with the partition: the records are read again from the first."""
    ingest, clients = started()
    topic = Topic([(0, "20", 40), (0, None, 20)])
    read(ingest, clients, topic, [])
    ends = {USERS_0: len(topic.logs[0]), RATINGS_0: 7}
    ingest._assigned(partitions(1, 2))
    clients.found["committed"] = ends
    ingest._assigned(partitions(0, 1, 2))
    ingest.process([topic.logs[0][1]])
    assert seen(ingest)[0] is None
    ingest.process(topic.logs[0])
    assert seen(ingest)[0] == {"age": "20"}
    assert clients.sent == []


@pytest.mark.parametrize("is_older_live", [False, True])
def test_a_record_held_back_is_applied_before_those_after_it_that_another_worker_has_applied(is_older_live):
    """The partition was lost and came back while its ratings were replayed."""
    clients = Clients({RATINGS_0: 5})
    ingest = ingest_on(clients)
    ingest._assigned(partitions(0, 1))
    ingest.process([record(0, 0, "20", 1)])
    ingest._lost(partitions(0, 1))
    clients.found["committed"] = {RATINGS_0: 5, USERS_0: 0 if is_older_live else 2}
    clients.move(USERS_0, 1)
    ingest._assignment.record_positions(clients)
    ingest._assigned(partitions(0, 1))
    ingest.process([record(0, 1, "30", 1)])
    assert ingest._users.held_partitions == {0}
    clients.move(RATINGS_0, 5)
    ingest.process([])
    assert seen(ingest)[0] == {"age": "30"}
    assert ingest._users.held_partitions == set()
