"""What the topics hold about one user or one item, read to their ends; no worker is asked."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from dch.data.features import Features, availability
from dch.data.ratings import Ratings
from streams import topics
from streams.errors import BadRecord
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Record
from streams.messages import (
    FeatureRecord,
    ItemCode,
    decode_item,
    decode_item_code,
    decode_ratings,
    decode_user,
)
from streams.messages.keys import key_ids
from streams.settings import KeyForm
from streams.topics import Topic
from streams.trainer.rating_log import RatingLog

BATCH = 4000

Read = Callable[[Topic], Iterable[Record]]
"""Returns all records of a topic, those of one partition in order."""

DEAD_LETTERS = {"user": (topics.RATINGS, topics.USERS, topics.REQUESTS), "item": (topics.ITEMS,)}
"""Topics whose records have the id of a user or an item as their key."""


@dataclass(frozen=True, kw_only=True)
class HeldRating:
    """One live rating."""

    user: str
    item: str
    value: float
    timestamp: int
    """Milliseconds since 1970."""

    title: str | None


@dataclass(kw_only=True)
class Held:
    """What is held about one user or item."""

    side: str
    """``user`` or ``item``."""

    id: str
    owner: int
    """The partition that the id belongs to."""

    ratings: list[HeldRating] = field(default_factory=list)
    """The live ratings, newest first."""

    n_records: int = 0
    """Records of ``ratings``, also those that were replaced, withdrawn or forgotten."""

    n_misrouted: int = 0
    """Of these, records outside the owner partition of their user."""

    n_void: int = 0
    """Pairs of user and item without a live rating: withdrawn, or forgotten by a tombstone."""

    features: Features | None = None
    """None: there are none, or a tombstone removed them."""

    tombstone_at: int | None = None
    """Milliseconds since 1970 of the latest tombstone, which voids earlier ratings; None if there is none."""

    code: ItemCode | None = None
    """Of an item: its code on ``item-codes``, as the worker that owns it published it last."""

    dead_letters: Mapping[str, int] = field(default_factory=dict)
    """Records with this id as their key that could not be processed, by topic."""

    @property
    def is_available(self) -> bool:
        """Whether an item may be listed, by its features."""
        return availability(self.features or {}) is not False


def held_of(side: str, id_: str, read: Read, n_partitions: int, form: KeyForm = "auto") -> Held:
    """Return what the topics hold about an id.

    Every partition is read, since any partitioner may have written the records. Bad records count only among
    the dead letters.

    Args:
        side: ``user`` or ``item``.
        id_: the id.
        read: returns the records of a topic.
        n_partitions: of the topics that are keyed by user or item.
        form: what keys of four or eight bytes are.
    """
    held, log = Held(side=side, id=id_, owner=partition_for(id_.encode(), n_partitions)), RatingLog()
    pairs = _read_ratings(held, read(topics.RATINGS), log, n_partitions)
    items = {item for _, item in pairs} | ({id_} if side == "item" else set())
    features = _read_features(held, read, log, items, form)
    live, _ = log.ratings({})
    held.ratings = sorted(_rows(live, features), key=lambda one: one.timestamp, reverse=True)
    held.n_void = len(pairs) - len(held.ratings)
    if side == "item":
        held.code = _newest_code(id_, read(topics.ITEM_CODES))
    held.dead_letters = _dead_letters(held, read, form)
    return held


def _read_ratings(
    held: Held, records: Iterable[Record], log: RatingLog, n_partitions: int
) -> set[tuple[str, str]]:
    """Add the records about an id to a log; return the pairs of user and item."""
    pairs, source = set(), iter(records)
    while batch := list(islice(source, BATCH)):
        kept = []
        for record, event in zip(batch, decode_ratings(batch), strict=True):
            if isinstance(event, BadRecord) or held.id != getattr(event, held.side):
                continue
            kept.append(record)
            pairs.add((event.user, event.item))
            held.n_misrouted += record.partition != partition_for(event.user.encode(), n_partitions)
        held.n_records += len(kept)
        log.add_ratings(kept)
    return pairs


def _read_features(
    held: Held, read: Read, log: RatingLog, items: set[str], form: KeyForm
) -> Mapping[str, Features]:
    """Add tombstones to a log, and note the features of an id; return the features of these items."""
    item, user = partial(decode_item, form=form), partial(decode_user, form=form)
    of_items = _newest_features(read(topics.ITEMS), item, items, log.add_item)
    of_users = _newest_features(read(topics.USERS), user, {held.id}, log.add_user)
    of_side = of_users if held.side == "user" else of_items
    held.features, held.tombstone_at = of_side.get(held.id, (None, None))
    return {item: found or {} for item, (found, _) in of_items.items()}


def _newest_features(
    records: Iterable[Record],
    decode: Callable[[Record], FeatureRecord],
    ids: set[str],
    add_tombstone: Callable[[FeatureRecord, int, int], None],
) -> Mapping[str, tuple[Features | None, int | None]]:
    """Return by id the features of its newest record, and the time of its latest tombstone.

    Args:
        records: all records of ``users`` or of ``items``.
        decode: how they are decoded.
        ids: whose features to return.
        add_tombstone: told of every tombstone, also of other ids, with its time and offset.
    """
    newest: dict[str, tuple[int, int, Features | None]] = {}
    tombstones: dict[str, int] = {}
    for record in records:
        try:
            found = decode(record)
        except BadRecord:
            continue
        if found.features is None:
            add_tombstone(found, record.timestamp_ms, record.offset)
            tombstones[found.id] = max(record.timestamp_ms, tombstones.get(found.id, 0))
        if found.id in ids:
            one = (record.timestamp_ms, record.offset, found.features)
            newest[found.id] = max(one, newest.get(found.id, one), key=lambda at: at[:2])
    return {id_: (features, tombstones.get(id_)) for id_, (_, _, features) in newest.items()}


def _rows(live: Ratings, features: Mapping[str, Features]) -> Iterator[HeldRating]:
    for user, item, value, timestamp in zip(
        live.users.tolist(), live.items.tolist(), live.values.tolist(), live.timestamps.tolist(), strict=True
    ):
        id_ = live.item_ids[item]
        title = features.get(id_, {}).get("title")
        yield HeldRating(
            user=live.user_ids[user],
            item=id_,
            value=value,
            timestamp=timestamp,
            title=None if title is None else str(title),
        )


def _newest_code(id_: str, records: Iterable[Record]) -> ItemCode | None:
    code = None
    for record in records:
        try:
            found, newest = decode_item_code(record)
        except BadRecord:
            continue
        if found == id_:
            code = newest
    return code


def _dead_letters(held: Held, read: Read, form: KeyForm) -> Mapping[str, int]:
    counts = {
        topic.dead_letters.name: sum(
            record.key is not None and held.id in key_ids(record.key, held.side, form)
            for record in read(topic.dead_letters)
        )
        for topic in DEAD_LETTERS[held.side]
    }
    return {name: count for name, count in counts.items() if count}
