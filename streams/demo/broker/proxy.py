"""Proxy between Kafka clients and noida-db, which fixes defects of noida-db 0.2.3.

- The proxy holds an empty fetch until a record is produced or its wait time is over. noida-db answers at
  once, so that an idle consumer would use a whole core.
- The proxy limits a fetch reply to about a megabyte of each partition. noida-db sends all records.
- The proxy expires silent group members, and a rebalance cannot overtake the previous one: see ``groups``.

The requests of one connection are answered in order, as in Kafka.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from streams.demo.broker import wire
from streams.demo.broker.connection import BUFFER_BYTES, Connection
from streams.demo.broker.groups import Groups
from streams.demo.broker.wire import Request
from streams.errors import EmbeddedBrokerError

DISCONNECT_S = 1.0
"""Seconds to finish the requests that a client sent just before it disconnected, such as a LeaveGroup."""

MALFORMED = (ValueError, IndexError, struct.error)
"""The exceptions that reading a malformed frame raises."""


@dataclass
class Proxy:
    """Clients connect to ``port``; noida-db listens on ``upstream``; both ports are on ``host``."""

    host: str
    port: int
    upstream: int
    groups: Groups = field(default_factory=Groups)
    produced: asyncio.Event = field(default_factory=asyncio.Event)
    note_produced: Callable[[int], None] = lambda n_bytes: None
    """Called with the size of each produce request before it is forwarded; may raise EmbeddedBrokerError."""

    failure: "asyncio.Future[None]" = field(init=False)
    """Receives the error of ``note_produced``, which has refused a produce request."""

    async def serve(self) -> asyncio.Server:
        """Start to listen; ``port`` 0 becomes the port that was picked."""
        self.failure = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(self._client, self.host, self.port, limit=BUFFER_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def expire_members(self, every_s: float = 0.5) -> None:
        """Make expired members leave their groups, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            if expired := self.groups.expire():
                with suppress(asyncio.IncompleteReadError, OSError):
                    await self._leave_groups(expired)

    async def _leave_groups(self, members: list[tuple[str, str]]) -> None:
        up = await Connection.open(self.host, self.upstream)
        for group, member in members:
            await up.ask(wire.leave_group_request(group, member))
        await up.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, frames = Connection(reader, writer), asyncio.Queue[bytes]()
        answering = asyncio.create_task(self._answer_all(frames, client))
        try:
            while not answering.done():
                frames.put_nowait(await client.read())
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            with suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(frames.join(), DISCONNECT_S)
        except asyncio.CancelledError:
            pass  # the proxy stops; Python before 3.12 logs a traceback for a connection that ends cancelled
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
            # noida-db has ended, or this is not a Kafka client. The client sees it, and may reconnect.
            await client.close()
        except EmbeddedBrokerError as error:
            if not self.failure.done():
                self.failure.set_exception(error)
            await client.close()
        finally:
            if up is not None:
                await up.close()

    async def _answer(self, frame: bytes, up: Connection) -> bytes | None:
        request = wire.read_head(frame)
        if request.api == wire.PRODUCE:
            self.note_produced(len(frame))
        if request.api == wire.FETCH:
            return await self._fetch(frame, request, up)
        if request.api == wire.API_VERSIONS:
            return wire.limit_versions(await up.ask(wire.versions_request(request)), request)
        if request.api in wire.GROUP_CALLS:
            return await self.groups.call(frame, request, up)
        if request.api == wire.PRODUCE and wire.read_acks(frame, request) == 0:
            await up.write(frame)
            self._wake()
            return None
        reply = await up.ask(frame)
        if request.api in (wire.PRODUCE, wire.END_TXN):
            self._wake()
        return wire.replace_address(reply, request, self.host, self.upstream, self.port)

    async def _fetch(self, frame: bytes, request: Request, up: Connection) -> bytes:
        end = time.monotonic() + wire.read_max_wait_s(frame, request)
        while True:
            produced = self.produced  # read before the fetch, so that no record produced meanwhile is missed
            reply, has_content = wire.limit_fetch_reply(await up.ask(frame), request.version)
            left = end - time.monotonic()
            if has_content or left <= 0:
                return reply
            with suppress(TimeoutError):
                await asyncio.wait_for(produced.wait(), left)

    def _wake(self) -> None:
        self.produced.set()
        self.produced = asyncio.Event()
