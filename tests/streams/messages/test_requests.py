"""Requests and replies: encode, decode and errors."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import BadRecord, RequestTooHeavy
from streams.messages import (
    ErrorReply,
    RatedItem,
    RatedReason,
    RecommendedItem,
    RecommendReply,
    RecommendRequest,
    RequestLimits,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from streams.messages import requests as module
from streams.messages.fields import Fields
from tests.streams.messages.records import decoded, headers, json_values, objects, record

ids = st.text("ab", min_size=1, max_size=2)
subjects = (
    st.fixed_dictionaries({"user": ids})
    | st.fixed_dictionaries({"similar_to": ids})
    | st.fixed_dictionaries(
        {"history": st.lists(st.builds(RatedItem, item=ids, rating=st.floats(-5, 5)), max_size=3).map(tuple)}
    )
)
options = st.fixed_dictionaries(
    {},
    optional={
        "k": st.integers(1, 1000),
        "exclude": st.lists(ids, max_size=3).map(tuple),
        "only": st.lists(ids, min_size=1, max_size=3).map(tuple),
        "include_rated": st.booleans(),
        "strategy": st.sampled_from(module.STRATEGIES),
        "deadline": st.integers(0, 10**13),
        "explain": st.booleans(),
    },
)
replies = st.builds(ErrorReply, error=st.text(max_size=5)) | st.builds(
    RecommendReply,
    items=st.lists(
        st.builds(
            RecommendedItem,
            item=ids,
            distance=st.integers(0, 256),
            score=st.floats(-64, 64),
            title=st.none() | ids,
            because=st.lists(
                st.builds(RatedReason, item=ids, share=st.floats(0, 1), title=st.none() | ids), max_size=3
            ).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    generation=st.integers(1, 9),
    strategy=st.just("codes"),
    staleness_s=st.floats(0, 9),
    user=st.none() | ids,
    code=st.none() | st.just("00ff"),
    ratings=st.none() | st.integers(0, 9),
)


@given(subjects, options)
def test_decode_returns_the_request_that_was_encoded(subject, options):
    request = RecommendRequest(**subject, **options)
    assert decode_request(record(encode_request(request))) == request


@given(replies)
def test_decode_returns_the_reply_that_was_encoded(reply):
    assert decode_reply(encode_reply(reply)) == reply


@given(
    st.binary(max_size=30)
    | objects("user", "history", "similar_to", "k", "only", "exclude", "deadline", "strategy", "explain"),
    headers,
)
def test_any_bytes_decode_or_raise_a_bad_record(value, headers):
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    str(decoded(decode_request, record(value, headers=headers))).encode()
    str(decoded(decode_reply, value)).encode()


def test_the_number_of_ratings_is_a_key_of_the_reply_even_at_0_and_absent_where_there_is_none():
    reply = RecommendReply(items=(), generation=1, strategy="popular", staleness_s=0.5, ratings=0)
    assert json.loads(encode_reply(reply))["ratings"] == 0
    assert "ratings" not in json.loads(encode_reply(msgspec.structs.replace(reply, ratings=None)))


def test_reasons_are_a_key_of_an_item_only_where_there_are_some():
    plain = RecommendedItem("i1", 1, 1.0)
    explained = RecommendedItem(
        "i2", 2, 0.5, "Alien", (RatedReason("i3", 0.75, "Aliens"), RatedReason("i4", 0.25))
    )
    reply = RecommendReply(items=(plain, explained), generation=1, strategy="codes", staleness_s=0.5)
    assert json.loads(encode_reply(reply))["items"] == [
        {"item": "i1", "distance": 1, "score": 1.0},
        {
            "item": "i2",
            "distance": 2,
            "score": 0.5,
            "title": "Alien",
            "because": [{"item": "i3", "share": 0.75, "title": "Aliens"}, {"item": "i4", "share": 0.25}],
        },
    ]


def test_a_reply_of_an_older_or_a_newer_worker_decodes():
    older = b'{"items": [], "generation": 1, "strategy": "codes", "staleness_s": 0.5}'
    assert decode_reply(older).ratings is None
    assert decode_reply(older[:-1] + b', "ratings": 3, "not known yet": 1}').ratings == 3


def test_by_default_a_request_asks_for_twenty_items_by_the_default_strategy():
    assert decode_request(record('{"user": 7}')) == RecommendRequest(user="7", k=20, strategy=None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{}", "user: expected one of user, history, similar_to, got none"),
        ('{"user": "u", "similar_to": "i"}', "user: expected one of .*, got user and similar_to"),
        ('{"user": "u", "k": 0}', "k: expected a whole number, 1 to 1000, got 0"),
        (
            '{"user": "u", "strategy": "best"}',
            "strategy: expected one of codes.rerank, codes, codes-weighted, .*, features, got 'best'",
        ),
        ('{"user": "u", "only": "i"}', "only: expected a list, got 'i'"),
        (
            '{"user": "u", "exclude": ["i", {}]}',
            r"exclude\[1\]: expected a string or a number, got an object",
        ),
        ('{"history": [{"item": "i"}]}', r"history\[0\].rating: missing"),
        ('{"history": ["i"]}', r"history\[0\]: expected an object, got 'i'"),
        ('{"user": "u", "include_rated": 1}', "include_rated: expected true or false, got 1"),
        ('{"user": "u", "explain": "yes"}', "explain: expected true or false, got 'yes'"),
        ('{"user": "u", "deadline": -1}', "deadline: expected a whole number"),
    ],
)
def test_an_invalid_request_names_the_field_and_its_value(value, message):
    with pytest.raises(BadRecord, match=message):
        decode_request(record(value))


LIMITS = RequestLimits(n_bytes=300, n_ids=4, k=50)


@pytest.mark.parametrize(
    "request_",
    [
        {"user": "u", "k": 50, "only": ["a", "b"], "exclude": ["c", "d"]},
        {"history": [{"item": "i", "rating": 5}] * 4},
    ],
)
def test_a_request_may_reach_each_limit(request_):
    assert decode_request(record(json.dumps(request_)), LIMITS).work <= 54


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"user": "u", "k": 51}, "k: expected at most 50 items, got 51; the limit is .* --max-k"),
        (
            {"user": "u", "only": ["a", "b"], "exclude": ["c", "d", "e"]},
            "history, exclude and only: expected at most 4 ids in all, got 5; .* --max-request-ids",
        ),
        ({"history": [{}] * 5}, "expected at most 4 ids in all, got 5"),
        (
            {"user": "u", "fields": dict.fromkeys(map(str, range(99)))},
            "request: expected at most 300 bytes, got .*; the limit is .* --max-request-bytes",
        ),
    ],
)
def test_a_request_over_a_limit_names_what_was_found_the_limit_and_the_setting(request_, message):
    with pytest.raises(RequestTooHeavy, match=message):
        decode_request(record(json.dumps(request_)), LIMITS)


def test_a_request_with_too_many_bytes_is_not_parsed(monkeypatch):
    monkeypatch.setattr(module, "open_record", None)
    with pytest.raises(RequestTooHeavy, match="got 301;"):
        decode_request(record("x" * 299, headers=[]), LIMITS)
    with pytest.raises(RequestTooHeavy, match="got 301;"):
        decode_request(record("x", headers=[("kafka_correlationId", b"x" * 279)]), LIMITS)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "item": st.text(max_size=2)
                | st.sampled_from(["x" * 64, "x" * 65, "\U0001f600" * 65, 7, 7.0]),
                "rating": st.sampled_from([5, -2.5, True, None, "5", 1e40, 10**40, 2**53]),
                "extra": st.none(),
            },
        )
        | json_values,
        max_size=3,
    )
)
def test_a_history_decoded_at_once_is_that_decoded_entry_by_entry(history):
    entries = Fields({"history": history, "only": history})
    expected = decoded(module.history_by_entry, entries)
    found = decoded(module._history, entries)
    assert str(found) == str(expected)
    if not isinstance(expected, BadRecord):
        assert [type(one.rating) for one in found] == [float] * len(found)
