"""TLS on a virtual machine: what its Talos trusts, and the connection of an agent over TLS.

gRPC for Python takes no Ed25519 certificate from a server, which is what the provider's own authority gives. So an
agent dials a port of this process, behind which OpenSSL speaks TLS.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import zstandard

DIAL_TIMEOUT_S: Final = 20.0  # Go's TLS gives up on a handshake after ten, on a connection after twenty
PIECE_BYTES: Final = 64 * 1024
# A machine configuration has some kilobytes; a frame that claims more is broken.
LONGEST_CONFIG_BYTES: Final = 1024 * 1024


class TlsRefused(Exception):
    """There is no connection: the server is not trusted, does not answer, or speaks no TLS 1.3."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a machine trusts. roots: PEM of authorities; skip_verify: everybody."""

    roots: str = ""
    skip_verify: bool = False

    def context(self) -> ssl.SSLContext:
        """A client's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        if self.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.roots:
            context.load_verify_locations(cadata=self.roots)
        return context


def unpack_inline(argument: str) -> str:
    """The machine configuration in the value of `talos.config.inline`. Raises ValueError."""
    try:
        packed = base64.b64decode(argument, validate=True)
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=LONGEST_CONFIG_BYTES).decode()
    except zstandard.ZstdError as error:
        raise ValueError(f"talos.config.inline is no zstd frame: {error}") from None


@contextlib.asynccontextmanager
async def over_tls(host: str, port: int, trust: Trust) -> AsyncIterator[str]:
    """Connect, and give the address of a port that leads through this connection. Raises TlsRefused."""
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            far = await asyncio.open_connection(host, port, ssl=trust.context(), server_hostname=host)
    except (OSError, TimeoutError) as error:
        words = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
        raise TlsRefused(words or type(error).__name__) from None
    pipes: list[asyncio.Task[None]] = []

    async def near_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if pipes:  # the connection was lost, and gRPC tries again
            writer.close()
            return
        pipes.append(asyncio.create_task(_pipe(reader, far[1])))
        pipes.append(asyncio.create_task(_pipe(far[0], writer)))

    server = await asyncio.start_server(near_end, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)
        far[1].transport.abort()


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(PIECE_BYTES):
            sink.write(piece)
            await sink.drain()
    except OSError:
        return  # the other way ends as well
    finally:
        sink.transport.abort()
