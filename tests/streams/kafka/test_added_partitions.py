"""Partitions that are added while a role runs end it: nobody would read them."""

import re
import threading

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from streams import topics
from streams.errors import TopicError
from streams.kafka import Admin, Consumer, added_partitions
from streams.kafka.added_partitions import LOOK_S, READ, AddedPartitions
from streams.settings import KafkaSettings, TrainerSettings, WorkerSettings
from streams.trainer.source import Source
from streams.worker.context import WorkerContext
from streams.worker.global_tables import GlobalTables
from tests.streams.brokers import eventually
from tests.streams.worker.test_assignment import Log

SETTINGS = KafkaSettings(prefix="t-", partitions=3)


class Cluster(Log):
    """A consumer whose cluster has the given numbers of partitions beside the expected ones."""

    def __init__(self, **counts):
        super().__init__()
        expected = {f"t-{topic.name}": 3 if topic.is_sharded else 1 for topic in topics.EVERY_TOPIC}
        self.counts = expected | {f"t-{name.replace('_', '-')}": n for name, n in counts.items()}

    def partition_counts(self):
        return self.counts

    def assign(self, starts):
        """Take what to read."""

    def poll(self, timeout_s):
        raise AssertionError("looked too late")


def looked_at(cluster, seconds=LOOK_S):
    now = 0.0
    watch = AddedPartitions(SETTINGS, cluster, now=lambda: now)
    now = seconds
    watch.refuse()


@pytest.mark.parametrize("name", [topic.name for topic in READ])
def test_a_topic_that_got_more_partitions_is_named_at_the_next_look(name):
    n_expected = 1 if name == "models" else 3
    grown = Cluster(**{name.replace("-", "_"): 5})
    text = f"topic t-{name} has 5 partitions, expected {n_expected}; set --partitions 5, or create topics"
    with pytest.raises(TopicError, match=re.escape(text)):
        looked_at(grown)
    looked_at(grown, LOOK_S - 1)  # between two looks, nothing is asked


def test_topics_of_others_and_those_that_a_user_may_not_see_are_no_fault():
    cluster = Cluster(recommendations=9)
    cluster.counts["u-items"] = 9
    del cluster.counts["t-items"]
    looked_at(cluster)


def test_the_tables_of_a_worker_and_the_log_of_a_trainer_end_by_that_error(monkeypatch):
    monkeypatch.setattr(added_partitions, "LOOK_S", 0.0)
    grown, words = Cluster(items=4), "topic t-items has 4 partitions, expected 3"
    context = WorkerContext(WorkerSettings(prefix="t-", partitions=3), threading.Event())
    with pytest.raises(TopicError, match=words):
        GlobalTables(context, grown, None).run()
    with pytest.raises(TopicError, match=words):
        Source(TrainerSettings(prefix="t-", partitions=3), grown).read()


@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
@pytest.mark.broker
@pytest.mark.real_broker
def test_partitions_that_were_added_on_a_real_broker_are_seen(settings):
    topics.create(Admin(settings), settings)
    consumer = Consumer(settings, group="g", start="earliest")
    try:
        watch = AddedPartitions(settings, consumer, now=iter(range(0, 10**6, 100)).__next__)
        watch.refuse()
        client = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
        (added,) = client.create_partitions([NewPartitions(settings.topic("item-codes"), 9)]).values()
        added.result(30)

        def is_refused():
            try:
                watch.refuse()
            except TopicError as error:
                return f"item-codes has 9 partitions, expected {settings.partitions}" in str(error)

        eventually(is_refused, 30)
    finally:
        consumer.close()
