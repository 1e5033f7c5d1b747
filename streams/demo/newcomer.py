"""A new user rates a few items one by one, and requests the recommendations after each rating."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.client import RecommendClient
from streams.demo.demo_data import DemoData
from streams.demo.processes import Processes
from streams.errors import ReplyTimeout
from streams.messages import ErrorReply, RecommendReply, RecommendRequest

NEWCOMER = "a-brand-new-user"
LIKED = 5.0
ASK_AGAIN_S = 0.005


@dataclass
class Newcomer:
    """The recommendations of a new user, and the delay until each rating took effect."""

    lists: list[tuple[str, list[str]]] = field(default_factory=list)
    """The title of the item just rated, and the titles then recommended."""

    visible_ms: list[float] = field(default_factory=list)
    """Milliseconds from publishing each rating to the first reply that rests on it."""


def rate_liked_items(
    data: DemoData,
    ask: Callable[[str, int], RecommendReply],
    rate: Callable[[str, str, float], None],
    user: str = NEWCOMER,
) -> Newcomer:
    """Request a list, then rate each liked item and request the list again.

    Args:
        data: the data of the demo.
        ask: returns the first reply to a user that rests on at least so many ratings.
        rate: publishes a rating, given user, item and rating.
        user: a user without ratings.
    """
    newcomer = Newcomer()
    newcomer.lists.append(("(no rating yet)", _titles(data, ask(user, 0))))
    for n_ratings, item in enumerate(data.liked, start=1):
        start = time.monotonic()
        rate(user, item, LIKED)
        reply = ask(user, n_ratings)
        newcomer.visible_ms.append((time.monotonic() - start) * 1000)
        newcomer.lists.append((data.title(item), _titles(data, reply)))
    return newcomer


def ask_until(client: RecommendClient, processes: Processes, user: str, n_ratings: int) -> RecommendReply:
    """Request a list until the reply rests on at least ``n_ratings`` ratings of the user; return that reply.

    The code cannot tell: a rating may leave all its bits as they are, and a refit may change it without one.

    Raises:
        DemoError: a process has ended, or nothing changes any more.
    """
    reply = processes.wait_for(
        f"a reply to {user} that rests on {n_ratings} ratings",
        lambda: _ask(client, user),
        lambda reply: isinstance(reply, RecommendReply) and (reply.ratings or 0) >= n_ratings,
        describe=_words,
        poll_s=ASK_AGAIN_S,
    )
    assert isinstance(reply, RecommendReply)
    return reply


def _ask(client: RecommendClient, user: str) -> RecommendReply | ErrorReply:
    try:
        return client.ask(RecommendRequest(user=user))
    except ReplyTimeout:  # the text of the exception names the request, and so would look like a change
        return ErrorReply("no reply yet")


def _words(reply: RecommendReply | ErrorReply) -> str:
    if isinstance(reply, ErrorReply):
        return f"the error {reply.error!r}"
    return f"a reply of generation {reply.generation} that rests on {reply.ratings} ratings"


def _titles(data: DemoData, reply: RecommendReply) -> list[str]:
    return [data.title(found.item) for found in reply.items]
