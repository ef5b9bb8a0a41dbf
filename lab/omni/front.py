"""The port of a stand-in Omni that is as a real one's: TLS where it has a certificate, and plain HTTP beside gRPC.

HTTP is answered with nothing but a date, by which callers compare their clocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from lab.omni.certificates import Certificate, server_context

CHUNK_BYTES: Final = 256 * 1024
GRPC_BEGINS: Final = b"PRI * HTTP/2.0"
# A caller that says nothing is not waited for.
FIRST_BYTES_LIMIT_S: Final = 10.0


class Front:
    """Passes gRPC on to a server on the loopback. clock: seconds since 1970, for the date."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._behind = 0

    async def serve(self, host: str, port: int, certificate: Certificate | None, behind: int) -> int:
        """Answer at this address; port 0 takes a free one. behind: the port of the gRPC server. Returns the port."""
        self._behind = behind
        context = None if certificate is None else server_context(certificate, "h2", "http/1.1")
        self._server = await asyncio.start_server(self._connected, host, port, ssl=context)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Answer no more, and break off all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        if call is not None:
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, ssl.SSLError):
                await self._answer(reader, writer)
        except asyncio.CancelledError:
            pass  # `stop`; there is nobody else to tell
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(FIRST_BYTES_LIMIT_S):
            first = await reader.readexactly(len(GRPC_BEGINS))
            if first != GRPC_BEGINS:
                await reader.readuntil(b"\r\n\r\n")
        if first == GRPC_BEGINS:
            await self._pass_on(first, reader, writer)
            return
        date = formatdate(self._clock(), usegmt=True)
        writer.write(f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _pass_on(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        back_writer.write(first)
        ways = [asyncio.ensure_future(_pump(*way)) for way in ((reader, back_writer), (back_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back_writer.transport.abort()  # first, because `stop` may break off what is waited for below
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
