"""Requests answered together get the replies that each gets alone, from one pass over the item codes."""

from random_models import random_model

from dch import Recommender, lists
from streams.messages import ErrorReply, RecommendRequest
from streams.worker.replies import replies_to, reply_to

REQUESTS = [
    RecommendRequest(user="u0", k=3),
    RecommendRequest(similar_to="never heard of"),
    RecommendRequest(user="u1", strategy="codes", exclude=("i2",)),
    RecommendRequest(user="u2", only=("i1", "i3")),
    RecommendRequest(user="a stranger"),
    RecommendRequest(similar_to="i4", k=2),
]


def filled():
    recommender = Recommender(random_model())
    for item in range(8):
        recommender.fold_in(f"u{item % 6}", f"i{item}", 5.0, 1)
    return recommender


def test_requests_answered_together_get_the_replies_that_each_gets_alone():
    recommender = filled()
    alone = [reply_to(recommender, request, 1.5) for request in REQUESTS]
    assert replies_to(recommender, REQUESTS, 1.5) == alone
    assert [type(reply) is ErrorReply for reply in alone] == [False, True, False, False, False, False]
    assert replies_to(recommender, [], 1.5) == []


def test_requests_answered_together_share_one_search(monkeypatch):
    queries = []

    def spy(words, searched, *arguments, **options):
        queries.append(len(searched))
        return nearest_of_each(words, searched, *arguments, **options)

    nearest_of_each = lists.nearest_of_each
    monkeypatch.setattr(lists, "nearest_of_each", spy)
    replies_to(filled(), REQUESTS, 0.0)
    assert queries == [3]  # all but the error, the chosen items and the popular list
