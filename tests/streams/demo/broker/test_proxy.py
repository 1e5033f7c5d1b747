"""The proxy in front of a fake broker that records its requests."""

import asyncio
import struct

from streams.demo.broker import wire
from streams.demo.broker.connection import Connection
from streams.demo.broker.proxy import Proxy
from tests.streams.demo.broker.test_wire import batch, reply, request, text

HOST = "127.0.0.1"


class Upstream:
    """A broker that answers every fetch at once with ``batches``, and records the calls in ``asked``."""

    def __init__(self):
        self.batches = []
        self.asked = []

    async def client(self, reader, writer):
        client = Connection(reader, writer)
        try:
            while True:
                frame = await client.read()
                head = wire.read_head(frame)
                self.asked.append(head.api)
                if head.api == wire.FETCH:
                    await client.write(reply(head.version, [(0, self.batches)]))
                elif head.api == wire.PRODUCE and wire.read_acks(frame, head) == 0:
                    pass
                elif head.api == wire.JOIN_GROUP:
                    parts = (text("range"), text("m-1"), text("m-1"))
                    await client.write(struct.pack(">iihi", 42, 0, 0, 1) + b"".join(parts))
                else:
                    await client.write(struct.pack(">i", 42))
        except asyncio.IncompleteReadError:
            pass
        finally:
            await client.close()


def run(test):
    """Run a test coroutine with an upstream broker, a proxy and one client."""

    async def main():
        upstream = Upstream()
        server = await asyncio.start_server(upstream.client, HOST, 0)
        proxy = Proxy(HOST, 0, server.sockets[0].getsockname()[1])
        front = await proxy.serve()
        client = await Connection.open(HOST, proxy.port)
        try:
            await asyncio.wait_for(test(upstream, proxy, client), 30)
        finally:
            await client.close()
            front.close()
            server.close()

    asyncio.run(main())


def fetch(wait_ms):
    return request(wire.FETCH, 11, struct.pack(">iii", -1, wait_ms, 1))


PRODUCE = request(wire.PRODUCE, 8, struct.pack(">hh", -1, -1))


def test_an_empty_fetch_asks_the_broker_only_twice():
    async def test(upstream, proxy, client):
        await client.ask(fetch(200))
        assert upstream.asked == [wire.FETCH, wire.FETCH]

    run(test)


def test_a_held_fetch_is_answered_when_a_record_is_produced():
    async def test(upstream, proxy, client):
        waiting = asyncio.create_task(client.ask(fetch(25_000)))
        while not upstream.asked:
            await asyncio.sleep(0)
        producer = await Connection.open(HOST, proxy.port)
        upstream.batches = [batch(0, 100)]
        await producer.ask(PRODUCE)
        assert await waiting == reply(11, [(0, [batch(0, 100)])])
        await producer.close()

    run(test)


def test_a_fetch_with_records_is_answered_at_once():
    async def test(upstream, proxy, client):
        upstream.batches = [batch(0, 100)]
        await client.ask(fetch(25_000))
        assert upstream.asked == [wire.FETCH]

    run(test)


def test_a_produce_request_without_acknowledgements_gets_no_reply():
    async def test(upstream, proxy, client):
        await client.write(request(wire.PRODUCE, 8, struct.pack(">hh", -1, 0)))
        assert len(await client.ask(request(wire.METADATA, 8))) == 4

    run(test)


def test_a_member_leaves_its_group_once_its_heartbeats_stop():
    join = request(wire.JOIN_GROUP, 5, text("g") + struct.pack(">ii", 300, 9000) + text(""))
    beat = request(wire.HEARTBEAT, 3, text("g") + struct.pack(">i", 1) + text("m-1"))

    async def test(upstream, proxy, client):
        expiring = asyncio.create_task(proxy.expire_members(0.01))
        await client.ask(join)
        for _ in range(10):
            await asyncio.sleep(0.05)
            await client.ask(beat)
        assert wire.LEAVE_GROUP not in upstream.asked
        while wire.LEAVE_GROUP not in upstream.asked:
            await asyncio.sleep(0.01)
        assert proxy.groups.members == {}
        expiring.cancel()

    run(test)


def test_a_member_that_leaves_is_forgotten():
    join = request(wire.JOIN_GROUP, 5, text("g") + struct.pack(">ii", 300, 9000) + text(""))

    async def test(upstream, proxy, client):
        await client.ask(join)
        assert list(proxy.groups.members) == [("g", "m-1")]
        await client.ask(request(wire.LEAVE_GROUP, 2, text("g") + text("m-1")))
        assert proxy.groups.members == {}

    run(test)


def test_without_the_broker_the_proxy_disconnects_the_client():
    async def main():
        proxy = Proxy(HOST, 0, 1)
        front = await proxy.serve()
        client = await Connection.open(HOST, proxy.port)
        try:
            await client.ask(fetch(10))
        except (asyncio.IncompleteReadError, ConnectionError):
            disconnected = True
        assert disconnected
        await client.close()
        front.close()

    asyncio.run(main())
