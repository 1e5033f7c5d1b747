"""What a worker writes beside replies and item codes: records sent home, and ratings keyed by item."""

from streams import topics
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output, Record
from streams.messages import RatingEvent, encode_rating
from streams.messages.item_ratings import ItemRating, encode_item_rating
from streams.settings import WorkerSettings

FORWARDED = "dch-forwarded"
"""Header of a record that a worker sent home; its value is where the record was found."""


def forwarded(record: Record, home: int, key: bytes | None) -> Output:
    """Return the same record for its home partition: same value, headers and time."""
    return Output(
        topic=record.topic,
        key=key,
        value=record.value,
        partition=home,
        headers=[*record.headers, (FORWARDED, record.place.encode())],
        timestamp_ms=record.timestamp_ms or None,
    )


def item_rating(settings: WorkerSettings, event: RatingEvent, offset: int) -> Output:
    """Return a rating event for the owner of its item; the offset is the event's own."""
    return Output(
        topic=settings.topic(topics.ITEM_RATINGS.name),
        key=(key := event.item.encode()),
        value=encode_item_rating(ItemRating(event.user, event.item, event.rating, event.timestamp, offset)),
        partition=partition_for(key, settings.partitions),
    )


def withdrawal(settings: WorkerSettings, user: str, item: str, timestamp_ms: int) -> Output:
    """Return a rating event that takes a forgotten user's rating back, for good.

    It goes to `ratings`, not to `item-ratings`: compaction may drop the tombstone some day, and a replay of
    `ratings` without these would bring the user back.
    """
    key = user.encode()
    return Output(
        topic=settings.topic(topics.RATINGS.name),
        key=key,
        value=encode_rating(RatingEvent(user, item, None, timestamp_ms)),
        partition=partition_for(key, settings.partitions),
    )
