"""Topics are created once, and each difference is reported with its remedy."""

import pytest

from streams import topics
from streams.errors import BrokerRefusedError, TopicError
from streams.settings import KafkaSettings

SETTINGS = KafkaSettings(prefix="t-", partitions=2)


class Broker:
    """A broker that only stores topics."""

    def __init__(self):
        self.topics = {}
        self.refuses = False

    def partitions(self):
        return {name: topic.partitions for name, topic in self.topics.items()}

    def configs(self, names):
        return {name: {"cleanup.policy": "delete", **self.topics[name].config} for name in names}

    def create(self, new):
        self.topics |= {topic.name: topic for topic in new}

    def require_rights(self, names):
        assert not set(names) & self.topics.keys()
        if self.refuses:
            raise BrokerRefusedError(f"no right to describe {names[0]}")


def test_creating_twice_creates_once():
    broker = Broker()
    assert topics.create(broker, SETTINGS)[:2] == ["t-ratings", "t-users"]
    assert topics.create(broker, SETTINGS) == []
    assert topics.check(broker, SETTINGS) == []
    topics.require(broker, SETTINGS)


def test_all_topics_but_models_have_the_same_number_of_partitions():
    broker = Broker()
    topics.create(broker, SETTINGS)
    assert {name for name, n in broker.partitions().items() if n != 2} == {"t-models", "t-models-dlt"}


def test_ratings_are_kept_forever_and_global_tables_are_compacted():
    broker = Broker()
    topics.create(broker, SETTINGS)
    kept = {name for name, topic in broker.topics.items() if topic.config.get("retention.ms") == "-1"}
    compact = {name for name, topic in broker.topics.items() if topic.config["cleanup.policy"] == "compact"}
    assert kept == {"t-ratings", "t-item-ratings"}
    assert {broker.topics[name].config["retention.bytes"] for name in kept} == {"-1"}
    assert compact == {"t-users", "t-items", "t-item-codes", "t-models"}


def test_a_difference_is_reported_with_its_remedy():
    broker = Broker()
    topics.create(broker, SETTINGS)
    del broker.topics["t-items"]
    broker.topics["t-users"] = topics.NewTopic("t-users", 2, 1, {"cleanup.policy": "delete"})
    assert topics.check(broker, KafkaSettings(prefix="t-", partitions=2)) == [
        "topic t-items is missing; run: dch topics create --prefix t-",
        "topic t-users has cleanup.policy=delete, expected compact; run: "
        "kafka-configs.sh --alter --topic t-users --add-config cleanup.policy=compact",
    ]


def test_ratings_that_the_broker_deletes_by_size_are_a_difference():
    broker = Broker()
    topics.create(broker, SETTINGS)
    config = broker.topics["t-ratings"].config | {"retention.bytes": "1073741824"}
    broker.topics["t-ratings"] = topics.NewTopic("t-ratings", 2, 1, config)
    assert topics.check(broker, SETTINGS) == [
        "topic t-ratings has retention.bytes=1073741824, expected -1; run: "
        "kafka-configs.sh --alter --topic t-ratings --add-config retention.bytes=-1"
    ]


def test_a_topic_that_takes_less_than_internal_records_need_is_reported():
    broker = Broker()
    topics.create(broker, SETTINGS)
    limits = {"t-item-ratings": "1000", "t-ratings": "1048588"}
    found = {
        name: topics.NewTopic(name, 2, 1, broker.topics[name].config | {"max.message.bytes": limit})
        for name, limit in limits.items()
    }
    broker.topics |= found
    assert topics.check(broker, SETTINGS) == [
        "topic t-item-ratings has max.message.bytes=1000, expected at least 65536; run: "
        "kafka-configs.sh --alter --topic t-item-ratings --add-config max.message.bytes=65536"
    ]
    with pytest.raises(TopicError, match="topic t-ratings has 2 partitions, expected 3; set --partitions 2"):
        topics.require(broker, KafkaSettings(prefix="t-", partitions=3))


def test_topics_with_tombstones_and_ratings_take_no_record_that_is_stamped_ahead():
    broker = Broker()
    topics.create(broker, SETTINGS)
    limited = {name for name, topic in broker.topics.items() if topics.AFTER_MAX in topic.config}
    assert limited == {"t-ratings", "t-users", "t-items"}
    assert broker.topics["t-users"].config[topics.AFTER_MAX] == "300000"
    assert topics.unknown(broker, SETTINGS) == []


def test_what_the_observer_reads_is_stamped_by_the_broker():
    broker = Broker()
    topics.create(broker, SETTINGS)
    stamped = {name for name, topic in broker.topics.items() if "message.timestamp.type" in topic.config}
    assert stamped == {"t-served", "t-observer-changelog"}


def test_a_configuration_that_the_broker_does_not_know_is_a_warning_and_no_difference():
    broker = Broker()
    topics.create(broker, SETTINGS)
    for name, topic in broker.topics.items():
        config = {key: value for key, value in topic.config.items() if key != topics.AFTER_MAX}
        broker.topics[name] = topics.NewTopic(name, topic.partitions, 1, config)
    assert topics.check(broker, SETTINGS) == []
    found = topics.unknown(broker, SETTINGS)
    assert len(found) == 3
    assert found[0].startswith(
        f"the broker does not know {topics.AFTER_MAX} (Kafka 3.6 and later do), so topic "
    )


def test_topics_that_this_user_may_not_see_are_not_said_to_be_missing():
    broker = Broker()
    broker.refuses = True
    with pytest.raises(BrokerRefusedError, match="no right to describe t-ratings"):
        topics.check(broker, SETTINGS)
