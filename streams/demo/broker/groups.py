"""Track the members of consumer groups in the proxy, which fixes two defects of noida-db 0.2.3.

- noida-db never expires a member. The proxy removes a member that is silent for its session timeout.
- A member that rejoins at once, as with cooperative assignment, can overtake the replies to the previous
  joins. Then the rebalance never ends. The proxy delays a join until those replies are sent.
"""

import asyncio
import logging
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field

from streams.demo.broker import wire
from streams.demo.broker.connection import Connection
from streams.demo.broker.wire import Request

log = logging.getLogger("streams.demo.broker")

JOIN_DELAY_S = 2.0
"""Longest delay of a join; noida-db replies to all members of a rebalance within tens of milliseconds."""


@dataclass
class Member:
    """A member of a group."""

    timeout_s: float
    """Session timeout in seconds."""

    expires_at: float = math.inf
    """Monotonic time at which a silent member expires."""


@dataclass
class Joins:
    """The unanswered joins of one group."""

    waiting: list[float] = field(default_factory=list)
    """Times at which they were sent."""

    answered: float = 0.0
    """Time of the last reply to a join."""

    @property
    def is_answering(self) -> bool:
        """Whether only some of the members have received the result of the last rebalance."""
        return any(sent < self.answered for sent in self.waiting)


@dataclass
class Groups:
    """The members of all groups."""

    members: dict[tuple[str, str], Member] = field(default_factory=dict)
    joins: dict[str, Joins] = field(default_factory=lambda: defaultdict(Joins))

    def expire(self) -> list[tuple[str, str]]:
        """Forget the members whose session timeout has passed, and return their (group, member) names."""
        now = time.monotonic()
        expired = [names for names, member in self.members.items() if member.expires_at < now]
        for names in expired:
            del self.members[names]
            log.info("member expired group=%s member=%s", *names)
        return expired

    async def call(self, frame: bytes, request: Request, up: Connection) -> bytes:
        """Forward a group call, and note that its member is alive."""
        names, timeout_s = wire.read_group_member(frame, request)
        if request.api == wire.LEAVE_GROUP:
            self.members.pop(names, None)
            return await up.ask(frame)
        known = self.members.get(names)
        member = Member(timeout_s or (known.timeout_s if known else 0.0))
        if names[1] and member.timeout_s:
            self.members[names] = member
        try:
            return await (self._join(names[0], frame, request, up, member) if timeout_s else up.ask(frame))
        finally:  # even if the client disconnects while its call waits
            member.expires_at = time.monotonic() + member.timeout_s

    async def _join(
        self, group: str, frame: bytes, request: Request, up: Connection, member: Member
    ) -> bytes:
        joins, sent = self.joins[group], time.monotonic()
        while joins.is_answering and time.monotonic() < sent + JOIN_DELAY_S:
            await asyncio.sleep(0.01)
        sent = time.monotonic()
        joins.waiting.append(sent)
        try:
            reply = await up.ask(frame)
        finally:
            joins.waiting.remove(sent)
        if name := wire.read_joined_member(reply, request):
            joins.answered = time.monotonic()
            self.members[group, name] = member
        return reply
