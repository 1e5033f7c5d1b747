"""A batch of ratings, sorted by what has to be done."""

import math

from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecord
from streams.kafka.partitioner import partition_for
from streams.messages import RatingEvent, decode_rating, encode_rating
from streams.messages.item_ratings import ItemRating, encode_item_rating
from streams.worker.batches import column_of, sort_item_ratings, sort_ratings
from tests.streams.messages.records import decoded, record

N = 3
values = st.sampled_from(
    [encode_rating(RatingEvent(user, "i", 4.0, 1)) for user in ("u1", "u2", "u3")] + [b"bad", None]
)
records = st.lists(
    st.builds(
        lambda value, at, offset: record(value, partition=at, offset=offset), values, *[st.integers(0, 2)] * 2
    )
)


@given(records)
def test_every_record_is_applied_sent_home_or_buried(found):
    batch = sort_ratings(found, N)
    bad = [one for one in found if isinstance(decoded(decode_rating, one), BadRecord)]
    good = [one for one in found if one not in bad]
    at_home = [one for one in good if home_of(one) == one.partition]
    assert [one for one, _ in batch.bad] == bad
    assert batch.records == at_home
    assert batch.events == [decode_rating(one) for one in at_home]
    assert [(one, home) for one, _, home in batch.misplaced] == [
        (one, home_of(one)) for one in good if home_of(one) != one.partition
    ]


def home_of(one):
    return partition_for(decode_rating(one).user.encode(), N)


def test_item_ratings_are_applied_wherever_they_are():
    rating = ItemRating("u", "i", None, 5, 7)
    good, bad = sort_item_ratings([record(encode_item_rating(rating), partition=2), record("{}")])
    assert good == [rating]
    assert [str(reason) for _, reason in bad] == ["user: missing"]


def test_a_withdrawn_rating_is_nan():
    found = column_of([RatingEvent("u", "i", None, 1), RatingEvent("u", "i", 2.0, 1)])
    assert math.isnan(found[0])
    assert found[1] == 2.0
