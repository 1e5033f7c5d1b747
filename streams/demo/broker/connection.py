"""Read and write the frames of Kafka's protocol on one connection, to a broker or to a client."""

import asyncio
from contextlib import suppress

BUFFER_BYTES = 1 << 20
MAX_FRAME_BYTES = 256 << 20


class Connection:
    """One connection that carries frames with a length prefix."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Connect to a broker."""
        return cls(*await asyncio.open_connection(host, port, limit=BUFFER_BYTES))

    async def read(self) -> bytes:
        """Read one frame, without its length.

        Raises:
            ValueError: the frame is too long to be one of Kafka's.
            IncompleteReadError: the connection ended.
        """
        size = int.from_bytes(await self._reader.readexactly(4), "big")
        if size > MAX_FRAME_BYTES:  # the start of an HTTP request reads as a length of a gigabyte
            raise ValueError(f"a frame of {size} bytes is not a Kafka frame")
        return await self._reader.readexactly(size)

    async def write(self, frame: bytes) -> None:
        """Write the length of a frame, then the frame."""
        self._writer.writelines((len(frame).to_bytes(4, "big"), frame))
        await self._writer.drain()

    async def ask(self, frame: bytes) -> bytes:
        """Write a request and read the reply."""
        await self.write(frame)
        return await self.read()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with suppress(OSError):  # the other side has closed it already
            await self._writer.wait_closed()
