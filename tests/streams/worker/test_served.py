"""What the worker writes to `served`: lists and ratings of sampled users, and nothing of the others."""

import dataclasses

import numpy as np
import pytest
from random_models import random_model

from dch.recommender import Recommender
from streams.kafka.outbox import Outbox
from streams.kafka.records import Record
from streams.messages import ErrorReply, RatingEvent, RecommendRequest, decode_served
from streams.settings import WorkerSettings
from streams.worker.ratings import columns_of, to_events
from streams.worker.replies import reply_to
from streams.worker.served import ServedSample, is_sampled

NOW_MS = 1_700_000_000_000
USERS = [f"user {number}" for number in range(2000)]


class Sent(list):
    """A producer that keeps what it is sent."""

    send = list.append

    def served(self):
        return [decode_served(Record("served", 0, 0, one.key, one.value, NOW_MS)) for one in self]


def sample(share):
    sent = Sent()
    settings = WorkerSettings(served_share=share, prefix="t-")
    return ServedSample(settings, Outbox(settings, sent, group="worker")), sent


def request_record(offset=5, timestamp_ms=NOW_MS):
    return Record("t-requests", 2, offset, b"user 1", b"", timestamp_ms)


@pytest.fixture(scope="module")
def recommender():
    found = Recommender(dataclasses.replace(random_model(), generation_hash="0123456789ab"))
    for at, item in enumerate(["i1", "i2", "i3", "new"]):
        for user in ("a", "b", "c")[: at + 1]:
            found.fold_in(user, item, 5.0, NOW_MS)
    return found


def test_a_smaller_share_samples_a_part_of_the_users_of_a_larger_one():
    nested = [{user for user in USERS if is_sampled(user, share)} for share in (0, 0.1, 0.5, 1)]
    assert [len(found) / len(USERS) for found in nested] == pytest.approx([0, 0.1, 0.5, 1], abs=0.03)
    assert nested[0] <= nested[1] <= nested[2] <= nested[3]


def test_a_list_says_what_was_shown_and_what_it_needs_to_be_judged(recommender):
    found, sent = sample(1.0)
    request = RecommendRequest(user="a", k=3, include_rated=True)
    reply = reply_to(recommender, request, 0.0)
    found.note_list(recommender.state, request_record(), reply)
    (served,) = sent.served()
    assert (served.user, served.partition, served.offset, served.time) == ("a", 2, 5, NOW_MS)
    assert served.items == tuple(hit.item for hit in reply.items)
    assert (served.strategy, served.generation) == (reply.strategy, reply.generation)
    assert served.generation_hash == reply.generation_hash == "0123456789ab"
    assert (served.cohort, served.arm) == ("few_ratings", "default")
    popular = {hit.item: hit.score for hit in recommender.recommend("nobody", strategy="popular")}
    assert served.popularity == sum(popular[item] for item in served.items)
    assert served.catalogue == len(popular)
    fitted = set(recommender.model.item_ids)
    assert served.new_items == len(set(served.items) - fitted)
    assert sent[0].topic == "t-served"
    assert sent[0].key == b"a"


def test_a_list_is_written_without_counting_all_users_or_items(monkeypatch):
    recommender, (found, sent) = Recommender(random_model()), sample(1.0)
    for user, item in (("u0", "i1"), ("u1", "i2"), ("u1", "new")):
        recommender.fold_in(user, item, 5.0, NOW_MS)
    reply = reply_to(recommender, RecommendRequest(user="u0"), 0.0)
    counted = []
    monkeypatch.setattr(np, "count_nonzero", lambda column: counted.append(len(column)))
    found.note_list(recommender.state, request_record(), reply)
    monkeypatch.undo()
    assert counted == []
    assert sent.served()[0].catalogue == len(recommender.state.items_with_code()) == 3


def test_newness_and_popularity_are_those_of_the_items(recommender):
    is_new, popularity = recommender.state.newness_and_popularity(["i1", "new", "unknown"])
    fitted = set(recommender.model.item_ids)
    assert is_new.tolist() == [item not in fitted for item in ("i1", "new", "unknown")]
    assert popularity[2] == 0


def test_lists_without_a_user_and_errors_are_not_written(recommender):
    found, sent = sample(1.0)
    for request in (RecommendRequest(history=()), RecommendRequest(similar_to="unknown")):
        found.note_list(recommender.state, request_record(), reply_to(recommender, request, 0.0))
    found.note_list(recommender.state, request_record(), ErrorReply("no"))
    assert sent == []


def test_nothing_is_written_of_users_outside_of_the_sample(recommender):
    found, sent = sample(0.1)
    note_ratings(found, recommender.state, [RatingEvent(user, "i1", 5.0, NOW_MS) for user in USERS])
    for user in USERS[:50]:
        reply = reply_to(recommender, RecommendRequest(user=user), 0.0)
        found.note_list(recommender.state, request_record(), reply)
    sampled = [user for user in USERS if is_sampled(user, 0.1)]
    assert [one.user for one in sent.served()] == sampled + [user for user in sampled if user in USERS[:50]]


def test_only_live_ratings_are_written_and_neither_withdrawals_nor_forgotten_ones(recommender):
    found, sent = sample(1.0)
    recommender.state.set_user("gone", None, NOW_MS)
    events = [
        RatingEvent("a", "i1", 5.0, NOW_MS),
        RatingEvent("a", "i2", 1.0, NOW_MS),
        RatingEvent("a", "i3", None, NOW_MS),
        RatingEvent("gone", "i1", 5.0, NOW_MS),
        RatingEvent("a", "i1", 5.0, NOW_MS),
    ]
    note_ratings(found, recommender.state, events, live=[True] * 4 + [False])
    assert [(one.item, one.liked, one.partition, one.offset) for one in sent.served()] == [
        ("i1", True, 3, 0),
        ("i2", False, 3, 1),
    ]


def test_nobody_is_sampled_by_a_share_of_0(recommender):
    found, sent = sample(0.0)
    note_ratings(found, recommender.state, [RatingEvent(user, "i1", 5.0, NOW_MS) for user in USERS])
    assert sent == []


@pytest.mark.parametrize(("sent_ms", "is_kept"), [(NOW_MS, True), (0, False), (4_000_000_000_000, False)])
def test_a_record_was_sent_at_its_own_time_unless_that_is_missing_or_to_come(recommender, sent_ms, is_kept):
    found, sent = sample(1.0)
    reply = reply_to(recommender, RecommendRequest(user="a"), 0.0)
    found.note_list(recommender.state, request_record(timestamp_ms=sent_ms), reply)
    value = sent[0].value
    assert (f'"time":{NOW_MS}'.encode() in value) == is_kept
    assert b'"time":4' not in value


def note_ratings(found, state, events, *, live=None):
    records = [Record("t-ratings", 3, offset, b"", b"", NOW_MS) for offset in range(len(events))]
    rows = to_events(state, columns_of(events, np.arange(len(events))))
    found.note_ratings(state, records, events, rows, np.array(live or [True] * len(events)))
