"""Every topic, declared once: its key, what it holds, and how the broker keeps it.

Topics that share users or items have the same number of partitions, so that one worker owns a user's ratings,
features and requests. A topic is always created explicitly: one that creates itself has a partition count
that nobody chose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streams.errors import TopicError
from streams.settings import KafkaSettings

FOR_EVER = {"retention.ms": "-1"}
# Ratings are replayed to rebuild state, and historical ones carry times older than any retention: the broker
# would delete them.
COMPACT = {"cleanup.policy": "compact"}
KEEP_TOMBSTONES = {"delete.retention.ms": str(100 * 365 * 24 * 3600 * 1000)}
# After the broker's 24 h a worker that starts would rebuild from ratings what was forgotten or removed.
DELETE = {"cleanup.policy": "delete"}
DEAD_LETTER_SUFFIX = "-dlt"
MOST_SAID = 3  # differences in one error: past that it is no sentence any more
THIRTY_DAYS = {"retention.ms": str(30 * 24 * 3600 * 1000)}
ROOM_FOR_HEADERS = {"max.message.bytes": "2000000"}  # a record of the largest size and its reason must fit


@dataclass(frozen=True, kw_only=True)
class Topic:
    """The definition of one topic, without prefix."""

    name: str
    key: str
    """What the key of a record is."""

    holds: str
    config: Mapping[str, str]
    """What the broker must be told; anything else is left to it."""

    is_sharded: bool = True
    """Whether it has as many partitions as ``ratings``; one partition if not."""

    has_dead_letters: bool = True

    @property
    def dead_letters(self) -> "Topic":
        """The topic of records of this one that can never be processed; same partitions."""
        return Topic(
            name=self.name + DEAD_LETTER_SUFFIX,
            key=f"as in {self.name}",
            holds=f"records of {self.name} that can never be processed, with their reasons",
            config=DELETE | THIRTY_DAYS | ROOM_FOR_HEADERS,
            is_sharded=self.is_sharded,
            has_dead_letters=False,
        )


RATINGS = Topic(name="ratings", key="user id", holds="rating events", config=DELETE | FOR_EVER)
USERS = Topic(
    name="users",
    key="user id",
    holds="features; a tombstone forgets the user",
    config=COMPACT | KEEP_TOMBSTONES,
)
ITEMS = Topic(
    name="items",
    key="item id",
    holds="features; a tombstone removes the item",
    config=COMPACT | KEEP_TOMBSTONES,
)
ITEM_RATINGS = Topic(
    name="item-ratings", key="item id", holds="the rating events again, by item", config=DELETE | FOR_EVER
)
ITEM_CODES = Topic(name="item-codes", key="item id", holds="item codes of one generation", config=COMPACT)
MODELS = Topic(
    name="models", key='"model"', holds="pointers to generations", config=COMPACT, is_sharded=False
)
REQUESTS = Topic(name="requests", key="user id", holds="requests", config=DELETE)
RECOMMENDATIONS = Topic(
    name="recommendations",
    key="as the request",
    holds="replies to requests that name no reply topic",
    config=DELETE,
    has_dead_letters=False,
)

TOPICS = (RATINGS, USERS, ITEMS, ITEM_RATINGS, ITEM_CODES, MODELS, REQUESTS, RECOMMENDATIONS)
EVERY_TOPIC = TOPICS + tuple(topic.dead_letters for topic in TOPICS if topic.has_dead_letters)


@dataclass(frozen=True)
class NewTopic:
    """A topic as the broker is asked for it."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)


class TopicAdmin(Protocol):
    """What is asked of a broker about topics; see ``clients.Admin``."""

    def partitions(self) -> Mapping[str, int]:
        """Return the number of partitions of each topic there is."""

    def configs(self, topics: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return the configuration of these topics."""

    def create(self, topics: Sequence[NewTopic]) -> None:
        """Create topics; one that exists is left as it is."""


def create(admin: TopicAdmin, settings: KafkaSettings) -> list[str]:
    """Create the topics that are missing and return their names. Those that exist are not changed."""
    there = admin.partitions()
    missing = [_new(topic, settings) for topic in EVERY_TOPIC if settings.topic(topic.name) not in there]
    if missing:
        admin.create(missing)
    return [topic.name for topic in missing]


def check(admin: TopicAdmin, settings: KafkaSettings, only: Sequence[Topic] = EVERY_TOPIC) -> list[str]:
    """Return what differs from the definitions, each with what to do; empty when all is well."""
    there = admin.partitions()
    wanted = [_new(topic, settings) for topic in only]
    found = [topic for topic in wanted if topic.name in there]
    configs = admin.configs([topic.name for topic in found]) if found else {}
    missing = [topic.name for topic in wanted if topic not in found]
    return ([missing_sentence(missing, settings)] if missing else []) + [
        sentence
        for topic in found
        for sentence in _differences(topic, there[topic.name], configs.get(topic.name, {}))
    ]


def missing_sentence(names: Sequence[str], settings: KafkaSettings) -> str:
    """Return what to say of topics that are not there."""
    prefix = f" --prefix {settings.prefix}" if settings.prefix else ""
    what = f"topic {names[0]} is" if len(names) == 1 else f"{len(names)} topics ({names[0]} ...) are"
    return f"{what} missing; run: dch topics create{prefix}"


def require(admin: TopicAdmin, settings: KafkaSettings, only: Sequence[Topic] = EVERY_TOPIC) -> None:
    """Stop a role whose topics are not as defined.

    Raises:
        TopicError: naming the first differences and what to do.
    """
    if differences := check(admin, settings, only):
        more = f"; and {len(differences) - MOST_SAID} more" if len(differences) > MOST_SAID else ""
        raise TopicError("; ".join(differences[:MOST_SAID]) + more)


def _new(topic: Topic, settings: KafkaSettings) -> NewTopic:
    partitions = settings.partitions if topic.is_sharded else 1
    return NewTopic(settings.topic(topic.name), partitions, settings.replication_factor, topic.config)


def _differences(topic: NewTopic, partitions: int, config: Mapping[str, str]) -> list[str]:
    found = []
    if partitions != topic.partitions:
        found.append(
            f"topic {topic.name} has {partitions} partitions, expected {topic.partitions}; "
            f"set --partitions {partitions}, or create topics under another --prefix"
        )
    for key, expected in topic.config.items():
        if key in config and config[key] != expected:
            alter = f"kafka-configs.sh --alter --topic {topic.name} --add-config {key}={expected}"
            found.append(
                f"topic {topic.name} has {key}={config[key]}, this code needs {expected}; run: {alter}"
            )
    return found
