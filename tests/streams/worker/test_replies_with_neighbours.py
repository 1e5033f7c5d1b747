"""Replies equal the answers of the library, scores included, and name their strategy."""

import json

import msgspec
import pytest
from random_models import random_model, random_neighbours

from dch import Recommender
from streams.kafka.records import Record
from streams.messages import decode_request
from streams.worker.replies import replies_to, reply_to


def asked(**fields):
    return decode_request(Record("requests", 0, 0, b"u1", json.dumps(fields).encode(), 0, ()))


@pytest.fixture(scope="module")
def recommender():
    model = random_model(n_items=20, n_users=9, bits=16, neighbours=random_neighbours(20, 5, share=3e-6))
    recommender = Recommender(model)
    for n in range(60):
        recommender.fold_in(f"u{n % 7}", f"i{n * 5 % 23}", 1.0 + n % 5, n)
    for item in range(23):
        recommender.state.set_item(f"i{item}", {"title": f"title of i{item}"})
    return recommender


@pytest.mark.parametrize(
    ("strategy", "used"),
    [
        ({}, "codes+rerank+neighbours"),
        ({"strategy": "codes+rerank+neighbours"}, "codes+rerank+neighbours"),
        ({"strategy": "codes+rerank"}, "codes+rerank"),
        ({"strategy": "codes"}, "codes"),
    ],
)
def test_a_reply_is_the_list_of_the_library_by_the_strategy_that_it_names(recommender, strategy, used):
    reply = reply_to(recommender, asked(user="u1", k=8, **strategy), 0.0)
    hits = recommender.recommend("u1", 8, strategy=used)
    assert [(item.item, item.distance, item.score) for item in reply.items] == [hit[:3] for hit in hits]
    assert reply.strategy == used


@pytest.mark.parametrize("strategy", ["codes+rerank+neighbours", "codes+rerank", "codes"])
def test_a_reply_has_the_reasons_of_the_library_with_titles_if_the_request_asks(recommender, strategy):
    plain = reply_to(recommender, asked(user="u1", k=8, strategy=strategy), 0.0)
    reply = reply_to(recommender, asked(user="u1", k=8, strategy=strategy, explain=True), 0.0)
    hits = recommender.recommend("u1", 8, strategy=strategy, explain=True)
    assert any(hit.because for hit in hits)
    assert [tuple((one.item, one.share) for one in item.because) for item in reply.items] == [
        tuple(tuple(reason) for reason in hit.because) for hit in hits
    ]
    reasons = [reason for item in reply.items for reason in item.because]
    assert all(reason.title == f"title of {reason.item}" for reason in reasons)
    assert plain.items == tuple(msgspec.structs.replace(item, because=()) for item in reply.items)


def test_an_inline_history_is_explained_too_and_a_stranger_and_an_item_have_no_reasons(recommender):
    history = [{"item": "i2", "rating": 5.0}, {"item": "i9", "rating": 4.0}]
    reply = reply_to(recommender, asked(history=history, explain=True), 0.0)
    assert {reason.item for item in reply.items for reason in item.because} == {"i2", "i9"}
    for subject in ({"user": "a stranger"}, {"similar_to": "i1"}):
        reply = reply_to(recommender, asked(**subject, explain=True), 0.0)
        assert reply.items
        assert all(item.because == () for item in reply.items)


def test_similar_items_use_neighbours_unless_another_strategy_is_asked_for(recommender):
    reply = reply_to(recommender, asked(similar_to="i1", k=8), 0.0)
    assert reply.strategy == "codes+rerank+neighbours"
    assert [item.item for item in reply.items] == [hit.item for hit in recommender.similar_items("i1", 8)]
    assert reply_to(recommender, asked(similar_to="i1", strategy="codes"), 0.0).strategy == "codes"
    assert reply_to(recommender, asked(similar_to="i22"), 0.0).strategy == "codes+rerank"  # not in the fit


def test_users_without_a_code_use_no_neighbours(recommender):
    assert reply_to(recommender, asked(user="a stranger"), 0.0).strategy == "popular"


def test_replies_made_together_are_those_made_alone_also_with_chosen_items(recommender):
    chosen = [f"i{item}" for item in range(0, 23, 2)]
    requests = [
        asked(user="u1", k=5),
        asked(user="u2", k=5, only=chosen),
        asked(user="u3", k=5, strategy="codes"),
        asked(similar_to="i1", k=5),
        asked(user="u4", k=5, exclude=chosen),
        asked(user="u5", k=5, explain=True),
    ]
    together = replies_to(recommender, requests, 0.0)
    assert together == [reply_to(recommender, request, 0.0) for request in requests]
    assert {hit.item for hit in together[1].items} <= set(chosen)
    assert {hit.item for hit in together[4].items}.isdisjoint(chosen)
