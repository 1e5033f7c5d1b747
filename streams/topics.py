"""Every topic, declared once: its key, its content, and its broker configuration.

All topics keyed by user or item have the same number of partitions, so that one worker owns a user's ratings,
features and requests. Topics are always created explicitly: an automatically created topic has the broker's
default number of partitions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streams.errors import TopicError
from streams.settings import KafkaSettings

DELETE = {"cleanup.policy": "delete"}
COMPACT = {"cleanup.policy": "compact"}

# Workers rebuild their state from all ratings. Historical ratings carry old timestamps, so that the broker
# would delete them under any retention time. A cluster may have a default retention by size, too.
KEEP_FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}

# By default the broker drops tombstones after 24 h. A worker that starts later would then rebuild forgotten
# users and removed items from their ratings.
KEEP_TOMBSTONES = {"delete.retention.ms": str(100 * 365 * 24 * 3600 * 1000)}

# A tombstone takes effect at the time of its record, and a rating from then on counts again. So a record must
# not be stamped ahead: the broker refuses it, by its own clock. Kafka knows this since 3.6.
MAX_AHEAD_S = 300
AFTER_MAX = "message.timestamp.after.max.ms"
NOT_AHEAD = {AFTER_MAX: str(MAX_AHEAD_S * 1000)}
OPTIONAL = frozenset({AFTER_MAX})
"""Topic configuration that is left out if the broker does not know it."""

# A record from the future would make the observer pass over all others as late. The broker's time is none.
STAMPED_BY_BROKER = {"message.timestamp.type": "LogAppendTime"}

ONE_DAY_SEGMENTS = {"segment.ms": str(24 * 3600 * 1000)}
"""The broker deletes whole segments only; its default of 7 days would double a retention of 7 days."""

SEVEN_DAYS = {"retention.ms": str(7 * 24 * 3600 * 1000)} | ONE_DAY_SEGMENTS
NINE_DAYS = {"retention.ms": str(9 * 24 * 3600 * 1000)} | ONE_DAY_SEGMENTS
THIRTY_DAYS = {"retention.ms": str(30 * 24 * 3600 * 1000)}
ROOM_FOR_HEADERS = {"max.message.bytes": "2000000"}  # a record of the largest size plus dead-letter headers
MIN_MESSAGE_BYTES = 65_536
"""Every internal record is far smaller: a rating has 4 kB at most, an item code 3 kB."""

DEAD_LETTER_SUFFIX = "-dlt"
MAX_DIFFERENCES = 3  # named in one error message


@dataclass(frozen=True, kw_only=True)
class Topic:
    """The definition of one topic; the name has no prefix."""

    name: str
    key: str
    """The meaning of a record's key."""

    holds: str
    """The content of the topic, in words."""

    config: Mapping[str, str]
    """Required topic configuration; all other keys keep the broker's defaults."""

    is_sharded: bool = True
    """Whether the topic has as many partitions as ``ratings``; otherwise it has one."""

    has_dead_letters: bool = True

    @property
    def dead_letters(self) -> "Topic":
        """The dead-letter topic of this topic, with the same number of partitions."""
        return Topic(
            name=self.name + DEAD_LETTER_SUFFIX,
            key=f"as in {self.name}",
            holds=f"records of {self.name} that can never be processed, and the reasons",
            config=DELETE | THIRTY_DAYS | ROOM_FOR_HEADERS,
            is_sharded=self.is_sharded,
            has_dead_letters=False,
        )


RATINGS = Topic(
    name="ratings", key="user id", holds="rating events", config=DELETE | KEEP_FOREVER | NOT_AHEAD
)
USERS = Topic(
    name="users",
    key="user id",
    holds="user features; a tombstone forgets the user",
    config=COMPACT | KEEP_TOMBSTONES | NOT_AHEAD,
)
ITEMS = Topic(
    name="items",
    key="item id",
    holds="item features; a tombstone removes the item",
    config=COMPACT | KEEP_TOMBSTONES | NOT_AHEAD,
)
ITEM_RATINGS = Topic(
    name="item-ratings",
    key="none",
    holds="the rating events, by the partitions of their items",
    config=DELETE | KEEP_FOREVER,
)
ITEM_CODES = Topic(name="item-codes", key="item id", holds="codes of items", config=COMPACT)
MODELS = Topic(
    name="models", key="generation", holds="pointers to model artifacts", config=COMPACT, is_sharded=False
)
REQUESTS = Topic(name="requests", key="user id", holds="requests for recommendations", config=DELETE)
RECOMMENDATIONS = Topic(
    name="recommendations",
    key="as in the request",
    holds="replies to requests without a reply topic",
    config=DELETE,
    has_dead_letters=False,
)
SERVED = Topic(
    name="served",
    key="user id",
    holds="what sampled users were shown, and which of it they rated",
    config=DELETE | SEVEN_DAYS | STAMPED_BY_BROKER,
)
OBSERVER_CHANGELOG = Topic(
    name="observer-changelog",
    key="id of the first of its records of served",
    holds="the records of served that observers have counted, in batches, to restore their state from",
    config=DELETE | NINE_DAYS | STAMPED_BY_BROKER,
    has_dead_letters=False,
)

TOPICS = (
    RATINGS,
    USERS,
    ITEMS,
    ITEM_RATINGS,
    ITEM_CODES,
    MODELS,
    REQUESTS,
    RECOMMENDATIONS,
    SERVED,
    OBSERVER_CHANGELOG,
)
EVERY_TOPIC = TOPICS + tuple(topic.dead_letters for topic in TOPICS if topic.has_dead_letters)


@dataclass(frozen=True)
class NewTopic:
    """A topic to create; the name has its prefix."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)


class TopicAdmin(Protocol):
    """The topic operations of a broker; see ``streams.kafka.Admin``."""

    def partitions(self) -> Mapping[str, int]:
        """Return the number of partitions of every existing topic."""

    def configs(self, topics: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return the configuration of the named topics."""

    def create(self, topics: Sequence[NewTopic]) -> None:
        """Create topics, without what the broker does not know of OPTIONAL; existing ones stay unchanged."""

    def require_rights(self, names: Sequence[str]) -> None:
        """Raise if topics only seem to be missing, because this user may not describe them."""


def create(admin: TopicAdmin, settings: KafkaSettings) -> list[str]:
    """Create the missing topics and return their names; existing topics are left unchanged."""
    existing = admin.partitions()
    missing = [_new(topic, settings) for topic in EVERY_TOPIC if settings.topic(topic.name) not in existing]
    if missing:
        admin.create(missing)
    return [topic.name for topic in missing]


def check(admin: TopicAdmin, settings: KafkaSettings, only: Sequence[Topic] = EVERY_TOPIC) -> list[str]:
    """Return every difference between the topics and their definitions, each with its remedy."""
    existing = admin.partitions()
    expected = [_new(topic, settings) for topic in only]
    found = [topic for topic in expected if topic.name in existing]
    configs = admin.configs([topic.name for topic in found]) if found else {}
    missing = [topic.name for topic in expected if topic not in found]
    if missing:
        admin.require_rights(missing)
    return ([missing_text(missing, settings)] if missing else []) + [
        difference
        for topic in found
        for difference in _differences(topic, existing[topic.name], configs.get(topic.name, {}))
    ]


def unknown(admin: TopicAdmin, settings: KafkaSettings) -> list[str]:
    """Return a sentence for each topic with a configuration that the broker does not know."""
    existing = admin.partitions()
    found = [topic for one in EVERY_TOPIC if (topic := _new(one, settings)).name in existing]
    configs = admin.configs([topic.name for topic in found]) if found else {}
    return [
        f"the broker does not know {key} (Kafka 3.6 and later do), so topic {topic.name} takes records that "
        "are stamped ahead of its clock; a tombstone stamped ahead makes newer ratings void until then"
        for topic in found
        for key in OPTIONAL & topic.config.keys()
        if key not in configs.get(topic.name, {})
    ]


def missing_text(names: Sequence[str], settings: KafkaSettings) -> str:
    """Return the error text for missing topics."""
    prefix = f" --prefix {settings.prefix}" if settings.prefix else ""
    subject = f"topic {names[0]} is" if len(names) == 1 else f"{len(names)} topics ({names[0]} ...) are"
    return f"{subject} missing; run: dch topics create{prefix}"


def partitions_text(name: str, found: int, expected: int) -> str:
    """Return the error text for a topic with another number of partitions."""
    return (
        f"topic {name} has {found} partitions, expected {expected}; "
        f"set --partitions {found}, or create topics under another --prefix"
    )


def require(admin: TopicAdmin, settings: KafkaSettings, only: Sequence[Topic] = EVERY_TOPIC) -> None:
    """Require that topics match their definitions.

    Raises:
        TopicError: it names the first differences and their remedies.
    """
    if differences := check(admin, settings, only):
        n_more = len(differences) - MAX_DIFFERENCES
        more = [f"and {n_more} more differences"] if n_more > 0 else []
        raise TopicError("; ".join(differences[:MAX_DIFFERENCES] + more))


def _new(topic: Topic, settings: KafkaSettings) -> NewTopic:
    partitions = settings.partitions if topic.is_sharded else 1
    return NewTopic(settings.topic(topic.name), partitions, settings.replication_factor, topic.config)


def _differences(topic: NewTopic, partitions: int, config: Mapping[str, str]) -> list[str]:
    found = []
    if partitions != topic.partitions:
        found.append(partitions_text(topic.name, partitions, topic.partitions))
    for key, expected in topic.config.items():
        if key in config and config[key] != expected:
            found.append(_config_difference(topic, key, config[key], expected))
    limit = config.get("max.message.bytes", str(MIN_MESSAGE_BYTES))
    if "max.message.bytes" not in topic.config and int(limit) < MIN_MESSAGE_BYTES:
        found.append(_config_difference(topic, "max.message.bytes", limit, MIN_MESSAGE_BYTES, "at least "))
    return found


def _config_difference(topic: NewTopic, key: str, found: str, expected: str | int, at_least: str = "") -> str:
    alter = f"kafka-configs.sh --alter --topic {topic.name} --add-config {key}={expected}"
    return f"topic {topic.name} has {key}={found}, expected {at_least}{expected}; run: {alter}"
