"""Who is in which consumer group, as seen by the proxy; closes two gaps of noida-db 0.2.3.

- noida-db never expires a member: one that says nothing for its session timeout is made to leave.
- A member that rejoins at once (cooperative assignment does) can overtake the answers to the join before, and
  then all wait for each other for ever: a join waits until those answers are out.
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
OVERTAKING_S = (
    2.0  # noida-db answers the members of one join within tens of milliseconds; never wait for ever
)


@dataclass
class Member:
    """A member, and the moment from which it is taken for dead (monotonic seconds)."""

    timeout_s: float
    until: float = math.inf


@dataclass
class Joins:
    """The joins of one group that are not answered, by the moment they were sent, and the last answer."""

    waiting: list[float] = field(default_factory=list)
    answered: float = 0.0

    @property
    def is_answering(self) -> bool:
        """Whether some members know of the last rebalance and some do not yet."""
        return any(sent < self.answered for sent in self.waiting)


@dataclass
class Groups:
    """The members of all groups."""

    members: dict[tuple[str, str], Member] = field(default_factory=dict)
    joins: dict[str, Joins] = field(default_factory=lambda: defaultdict(Joins))

    def silent(self) -> list[tuple[str, str]]:
        """Forget the members that have been silent for too long, and return them."""
        now = time.monotonic()
        gone = [names for names, member in self.members.items() if member.until < now]
        for names in gone:
            del self.members[names]
            log.info("member expired group=%s member=%s", *names)
        return gone

    async def call(self, frame: bytes, request: Request, up: Connection) -> bytes:
        """Pass a call about a member on, and note that the member lives."""
        names, timeout_s = wire.group_member(frame, request)
        if request.api == wire.LEAVE_GROUP:
            self.members.pop(names, None)
            return await up.ask(frame)
        known = self.members.get(names)
        member = Member(timeout_s or (known.timeout_s if known else 0.0))
        if names[1] and member.timeout_s:
            self.members[names] = member
        try:
            return await (self._join(names[0], frame, request, up, member) if timeout_s else up.ask(frame))
        finally:  # also when the client hung up while its call waited
            member.until = time.monotonic() + member.timeout_s

    async def _join(
        self, group: str, frame: bytes, request: Request, up: Connection, member: Member
    ) -> bytes:
        joins, sent = self.joins[group], time.monotonic()
        while joins.is_answering and time.monotonic() < sent + OVERTAKING_S:
            await asyncio.sleep(0.01)
        sent = time.monotonic()
        joins.waiting.append(sent)
        try:
            reply = await up.ask(frame)
        finally:
            joins.waiting.remove(sent)
        if name := wire.joined_member(reply, request):
            joins.answered = time.monotonic()
            self.members[group, name] = member
        return reply
