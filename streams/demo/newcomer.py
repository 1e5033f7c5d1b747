"""A brand-new user rates a few items, one by one; the list is asked for after each."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.demo.demo_data import Story
from streams.demo.processes import DemoError
from streams.messages import RecommendReply

NEWCOMER = "a-brand-new-user"
LIKED = 5.0
PATIENCE_S = 10.0


@dataclass
class Newcomer:
    """What the newcomer was offered, and how long each rating took to show."""

    moments: list[tuple[str, list[str]]] = field(default_factory=list)
    """What was just rated, and the titles of the list then."""

    visible_ms: list[float] = field(default_factory=list)
    """From publishing each rating to the first reply that knows it, milliseconds."""


def play(
    story: Story, ask: Callable[[str], RecommendReply], rate: Callable[[str, str, float], None]
) -> Newcomer:
    """Ask, then rate and ask again for each liked item.

    Args:
        story: the data.
        ask: sends a request for a user and waits for the reply.
        rate: publishes a rating of a user.

    Raises:
        DemoError: a rating did not show in the replies.
    """
    newcomer = Newcomer()
    reply = ask(NEWCOMER)
    newcomer.moments.append(("(nothing yet)", _titles(story, reply)))
    for item in story.liked:
        began = time.monotonic()
        rate(NEWCOMER, item, LIKED)
        reply = _ask_until_changed(ask, reply.code, began)
        newcomer.visible_ms.append((time.monotonic() - began) * 1000)
        newcomer.moments.append((story.title(item), _titles(story, reply)))
    return newcomer


def _ask_until_changed(
    ask: Callable[[str], RecommendReply], code: str | None, began: float
) -> RecommendReply:
    while time.monotonic() - began < PATIENCE_S:
        reply = ask(NEWCOMER)
        if reply.code != code:
            return reply
    raise DemoError(f"a rating of {NEWCOMER} did not show in the replies within {PATIENCE_S:g} s")


def _titles(story: Story, reply: RecommendReply) -> list[str]:
    return [story.title(found.item) for found in reply.items]
