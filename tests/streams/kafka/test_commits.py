"""What is committed again though nothing was read: offsets that a broker would delete."""

from types import SimpleNamespace

import pytest
from confluent_kafka import TopicPartition

from streams.kafka import Partition
from streams.kafka.commits import RENEW_S, Commits
from streams.kafka.patience import Patience
from streams.kafka.positions import Positions
from streams.kafka.problems import Problems
from streams.settings import KafkaSettings

PLACES = [Partition("log", 0), Partition("log", 1)]


class Client:
    """A consumer of a group whose committed offsets expire."""

    def __init__(self):
        self.group, self.commits = {}, []

    def committed(self, partitions, timeout):
        return [
            TopicPartition(one.topic, one.partition, self.group.get(one.partition, -1)) for one in partitions
        ]

    def commit(self, offsets, asynchronous):
        self.commits.append({one.partition: one.offset for one in offsets})
        self.group |= self.commits[-1]


class Setting:
    """The commits of a consumer that has applied two records of each partition, and a clock."""

    def __init__(self):
        self.now_s, self.client, self.positions = 0.0, Client(), Positions()
        patience = Patience(60.0, now=lambda: self.now_s)
        self.commits = Commits(
            SimpleNamespace(current=self.client),
            self.positions,
            patience,
            Problems(KafkaSettings(bootstrap_servers="kafka:9092")),
            "group",
        )
        self.apply(2, 2)

    def apply(self, *offsets):
        self.positions.note_read(dict(zip(PLACES, offsets, strict=True)))
        self.positions.mark_applied(())

    def commit(self, skip=()):
        """Return what one call commits."""
        before = len(self.client.commits)
        self.commits.commit(skip)
        return self.client.commits[before:]


@pytest.fixture
def given():
    return Setting()


def test_without_membership_each_offset_is_committed_again_every_day(given):
    assert given.commit() == [{0: 2, 1: 2}]
    given.now_s = RENEW_S / 2
    given.apply(3, 2)
    assert given.commit() == [{0: 3}]
    given.now_s = RENEW_S + 1
    assert given.commit() == [{1: 2}], "the other one was committed half a day ago"
    assert given.commit() == []
    given.client.group.clear()  # the broker has deleted all of them
    given.now_s = 3 * RENEW_S
    assert given.commit() == [{0: 3, 1: 2}]


def test_a_process_that_has_begun_where_another_one_ended_commits_that_offset_once(given):
    given.client.group = {0: 2, 1: 2}
    assert given.commit() == [{0: 2, 1: 2}]
    assert given.commit() == []


def test_a_renewal_never_moves_an_offset_back_and_leaves_out_what_others_own(given):
    given.commit()
    given.now_s = RENEW_S + 1
    given.client.group = {0: 9, 1: 2}
    assert given.commit(skip=[PLACES[1]]) == []
    assert given.commit() == [{1: 2}]


def test_a_member_does_not_repeat_its_commits_because_a_group_with_members_keeps_them(given):
    given.commits.is_member = True
    assert given.commit() == [{0: 2, 1: 2}]
    given.now_s = 9 * RENEW_S
    assert given.commit() == []
