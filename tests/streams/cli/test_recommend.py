"""``dch recommend`` prints a reply so that a person can read it."""

from contextlib import nullcontext

import pytest

from streams.messages import RatedReason, RecommendedItem, RecommendReply
from tests.streams.cli.running import dch

__all__ = ["dch"]


class Client:
    """A client that gets one reply, whatever it asks."""

    def __init__(self, reply):
        self.reply = reply

    def __call__(self, settings):
        return nullcontext(self)

    def ask(self, request):
        self.request = request
        return self.reply


@pytest.mark.parametrize(
    ("strategy", "ratings", "sentences"),
    [
        ("codes", 3, ["strategy codes, ratings of this user 3, newest"]),
        ("codes", None, ["strategy codes, newest"]),  # a worker that does not count
        (
            "popular",
            0,
            ["ratings of this user 0", "this user has no ratings yet, so these are the most popular"],
        ),
        ("popular", 2, ["ratings of this user 2", "the model can use no rating of this user yet, so these"]),
    ],
)
def test_a_printed_reply_says_how_many_ratings_it_rests_on(dch, monkeypatch, strategy, ratings, sentences):
    reply = RecommendReply(items=(), generation=1, strategy=strategy, staleness_s=0.5, ratings=ratings)
    monkeypatch.setattr("streams.client.RecommendClient", Client(reply))
    monkeypatch.setenv("COLUMNS", "200")
    ran = dch("recommend", "u1")
    assert ran.code == 0, ran.err
    assert [sentence for sentence in sentences if sentence not in ran.out] == []
    assert ("so these are" in ran.out) == (strategy == "popular")


def test_reasons_are_asked_for_and_shown_with_their_shares_only_if_wanted(dch, monkeypatch):
    because = (RatedReason("i3", 0.75, "Aliens"), RatedReason("i4", 0.2))
    items = (RecommendedItem("i2", 2, 0.5, "Alien", because), RecommendedItem("i5", 2, 0.5))
    client = Client(RecommendReply(items=items, generation=1, strategy="codes", staleness_s=0.5))
    monkeypatch.setattr("streams.client.RecommendClient", client)
    monkeypatch.setenv("COLUMNS", "200")
    explained = dch("recommend", "u1", "--explain").out
    assert client.request.explain
    assert "because you rated" in explained
    assert "Aliens (75%), i4 (20%)" in explained
    assert "because" not in dch("recommend", "u1").out
    assert not client.request.explain
