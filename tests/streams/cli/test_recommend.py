"""``dch recommend`` prints a reply so that a person can read it."""

from contextlib import nullcontext

import pytest

from streams.messages import RecommendReply
from tests.streams.cli.running import dch

__all__ = ["dch"]


class Client:
    """A client that gets one reply, whatever it asks."""

    def __init__(self, reply):
        self.reply = reply

    def __call__(self, settings):
        return nullcontext(self)

    def ask(self, request):
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
