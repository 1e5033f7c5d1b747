"""A new user rates a few items one by one, and requests the recommendations after each rating."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.demo.demo_data import DemoData
from streams.demo.processes import DemoError
from streams.messages import RecommendReply

NEWCOMER = "a-brand-new-user"
LIKED = 5.0
TIMEOUT_S = 10.0


@dataclass
class Newcomer:
    """The recommendations of a new user, and the delay until each rating took effect."""

    lists: list[tuple[str, list[str]]] = field(default_factory=list)
    """The title of the item just rated, and the titles then recommended."""

    visible_ms: list[float] = field(default_factory=list)
    """Milliseconds from publishing each rating to the first reply that reflects it."""


def rate_liked_items(
    data: DemoData, ask: Callable[[str], RecommendReply], rate: Callable[[str, str, float], None]
) -> Newcomer:
    """Request a list, then rate each liked item and request the list again.

    Args:
        data: the data of the demo.
        ask: sends a request for a user and returns the reply.
        rate: publishes a rating, given user, item and rating.

    Raises:
        DemoError: a rating did not change the replies in time.
    """
    newcomer = Newcomer()
    reply = ask(NEWCOMER)
    newcomer.lists.append(("(no rating yet)", _titles(data, reply)))
    for item in data.liked:
        start = time.monotonic()
        rate(NEWCOMER, item, LIKED)
        reply = _ask_until_changed(ask, reply.code, start)
        newcomer.visible_ms.append((time.monotonic() - start) * 1000)
        newcomer.lists.append((data.title(item), _titles(data, reply)))
    return newcomer


def _ask_until_changed(
    ask: Callable[[str], RecommendReply], code: str | None, start: float
) -> RecommendReply:
    while time.monotonic() - start < TIMEOUT_S:
        reply = ask(NEWCOMER)
        if reply.code != code:
            return reply
    raise DemoError(f"a rating of {NEWCOMER} did not change the replies within {TIMEOUT_S:g} s")


def _titles(data: DemoData, reply: RecommendReply) -> list[str]:
    return [data.title(found.item) for found in reply.items]
