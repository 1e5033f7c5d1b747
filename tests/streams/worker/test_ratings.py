"""A batch of ratings is split by what has to be done with each record."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_model

from dch.state.state import State
from streams.errors import BadRecord
from streams.kafka.partitioner import partition_for
from streams.messages import RatingEvent, decode_rating, encode_rating
from streams.messages.item_ratings import ItemRatings, encode_item_ratings
from streams.worker.ratings import columns_of, split_item_ratings, split_ratings, to_events
from tests.streams.messages.records import decoded, record

N = 3
values = st.sampled_from(
    [encode_rating(RatingEvent(user, "i", 4.0, 1_700_000_000_000)) for user in ("u1", "u2", "u3")]
    + [b"bad", None]
)
records = st.lists(
    st.builds(
        lambda value, at, offset: record(value, partition=at, offset=offset), values, *[st.integers(0, 2)] * 2
    )
)


@given(records)
def test_every_record_is_applied_repartitioned_or_sent_to_the_dead_letters(found):
    batch = split_ratings(found, lambda users: np.array([partition_for(user.encode(), N) for user in users]))
    bad = [one for one in found if isinstance(decoded(decode_rating, one), BadRecord)]
    good = [one for one in found if one not in bad]
    ours = [one for one in good if owner_of(one) == one.partition]
    assert [one for one, _ in batch.bad] == bad
    assert batch.records == ours
    assert batch.events == [decode_rating(one) for one in ours]
    assert [(one, owner) for one, _, owner in batch.misrouted] == [
        (one, owner_of(one)) for one in good if owner_of(one) != one.partition
    ]


def owner_of(one):
    return partition_for(decode_rating(one).user.encode(), N)


def test_item_ratings_are_applied_in_whatever_partition_they_are():
    ratings = ItemRatings(["u", "v"], ["i", "i"], [None, 2.0], [5, 6], [7, 8])
    (value,) = encode_item_ratings(ratings)
    good, bad = split_item_ratings([record(value, partition=2), record("{}")])
    assert good == ratings
    assert [str(reason) for _, reason in bad] == ["user: missing"]


def test_a_withdrawn_rating_is_nan():
    ratings = [RatingEvent("u", "i", None, 1), RatingEvent("u", "i", 2.0, 1)]
    columns = columns_of(ratings, np.array([0, 1]))
    values = to_events(State(random_model()), columns).ratings.tolist()
    assert math.isnan(values[0])
    assert values[1] == 2.0
