"""Stand between clients and noida-db, and close the gaps of noida-db 0.2.3.

- A fetch with nothing to return is held until something is produced or its time is up (noida-db answers at
  once, so an idle consumer would burn a core).
- A reply carries about a megabyte of each partition (noida-db sends all there is).
- Group members that fall silent leave, and a rebalance does not overtake the one before: see ``groups``.

Requests of one connection are answered one after the other, as Kafka does.
"""

import asyncio
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field

from streams.demo.broker import wire
from streams.demo.broker.connection import BUFFER_BYTES, Connection
from streams.demo.broker.groups import Groups
from streams.demo.broker.wire import Request

HANG_UP_S = 1.0
"""What a client sent just before it hung up (leaving its group, say) is still done in this time."""

MALFORMED = (ValueError, IndexError, struct.error)
"""What reading a frame raises that is none of Kafka's."""


@dataclass
class Proxy:
    """Clients connect to ``port``, noida-db listens at ``upstream``, both on ``host``."""

    host: str
    port: int
    upstream: int
    groups: Groups = field(default_factory=Groups)
    produced: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self) -> asyncio.Server:
        """Start to listen; port 0 becomes the port that was given."""
        server = await asyncio.start_server(self._client, self.host, self.port, limit=BUFFER_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def expire_members(self, every_s: float = 0.5) -> None:
        """Make silent members leave, for as long as the proxy lives."""
        while True:
            await asyncio.sleep(every_s)
            if silent := self.groups.silent():
                with suppress(asyncio.IncompleteReadError, OSError):
                    await self._end_members(silent)

    async def _end_members(self, silent: list[tuple[str, str]]) -> None:
        up = await Connection.open(self.host, self.upstream)
        for group, member in silent:
            await up.ask(wire.leave_group(group, member))
        await up.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, frames = Connection(reader, writer), asyncio.Queue[bytes]()
        answering = asyncio.create_task(self._answer_all(frames, client))
        try:
            while not answering.done():
                frames.put_nowait(await client.read())
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            with suppress(TimeoutError):
                await asyncio.wait_for(frames.join(), HANG_UP_S)
        finally:
            answering.cancel()
            await client.close()

    async def _answer_all(self, frames: asyncio.Queue[bytes], client: Connection) -> None:
        up = None
        try:
            up = await Connection.open(self.host, self.upstream)
            while True:
                reply = await self._answer(await frames.get(), up)
                if reply is not None:
                    await client.write(reply)
                frames.task_done()
        except (asyncio.IncompleteReadError, OSError, *MALFORMED):
            await client.close()  # noida-db is gone, or this is no client: it finds out, and may try again
        finally:
            if up is not None:
                await up.close()

    async def _answer(self, frame: bytes, up: Connection) -> bytes | None:
        request = wire.head(frame)
        if request.api == wire.FETCH:
            return await self._fetch(frame, request, up)
        if request.api == wire.API_VERSIONS:
            return wire.offered(await up.ask(wire.ask_versions(request)), request)
        if request.api in wire.GROUP_CALLS:
            return await self.groups.call(frame, request, up)
        if request.api == wire.PRODUCE and wire.acks(frame, request) == 0:
            await up.write(frame)
            self._wake()
            return None
        reply = await up.ask(frame)
        if request.api in (wire.PRODUCE, wire.END_TXN):
            self._wake()
        return wire.readdressed(reply, request, self.host, self.upstream, self.port)

    async def _fetch(self, frame: bytes, request: Request, up: Connection) -> bytes:
        end = time.monotonic() + wire.max_wait_s(frame, request)
        while True:
            produced = self.produced  # taken before asking: what is produced meanwhile must not be missed
            reply, says = wire.capped(await up.ask(frame), request.version)
            left = end - time.monotonic()
            if says or left <= 0:
                return reply
            with suppress(TimeoutError):
                await asyncio.wait_for(produced.wait(), left)

    def _wake(self) -> None:
        self.produced.set()
        self.produced = asyncio.Event()
