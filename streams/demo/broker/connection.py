"""Frames over one connection: to a broker one asks, to a client one answers."""

import asyncio
from contextlib import suppress

BUFFER_BYTES = 1 << 20
MAX_FRAME_BYTES = 256 << 20


class Connection:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect to a broker."""
        return cls(*await asyncio.open_connection(host, port, limit=BUFFER_BYTES))

    async def read(self) -> bytes:
        """Read one frame, without its length."""
        size = int.from_bytes(await self._reader.readexactly(4), "big")
        if size > MAX_FRAME_BYTES:  # the beginning of an HTTP request reads as a gigabyte
            raise ValueError(f"a frame of {size} bytes is none of Kafka's")
        return await self._reader.readexactly(size)

    async def write(self, frame: bytes) -> None:
        """Write one frame after its length."""
        self._writer.writelines((len(frame).to_bytes(4, "big"), frame))
        await self._writer.drain()

    async def ask(self, frame: bytes) -> bytes:
        """Write a request and read the reply."""
        await self.write(frame)
        return await self.read()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with suppress(OSError):  # the other side was faster
            await self._writer.wait_closed()
