"""How a connection over TLS begins, on the side of the rack's HTTP server.

asyncio's own servers with TLS lose sight of a connection until its handshake is done, so that it outlives the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final, cast

# Clients of a busy rack wait for their turn; who says nothing at all is not waited for much longer than they wait.
HANDSHAKE_LIMIT_S: Final = 30.0


class Greeting(asyncio.Protocol):
    """A connection until its handshake is done. `behind` may abort it meanwhile, and has it from then on."""

    def __init__(self, behind: asyncio.Protocol, context: ssl.SSLContext) -> None:
        self._behind, self._context = behind, context
        self._shaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._behind.connection_made(transport)
        shaking = self._shake_hands(cast(asyncio.Transport, transport))
        self._shaking = asyncio.get_running_loop().create_task(shaking)

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        over_tls: asyncio.Transport | None = None
        with contextlib.suppress(OSError, TimeoutError):  # ssl's errors are OSErrors
            over_tls = await asyncio.get_running_loop().start_tls(
                transport, self._behind, self._context, server_side=True, ssl_handshake_timeout=HANDSHAKE_LIMIT_S
            )
        if over_tls is None:  # it was refused, or aborted meanwhile
            transport.abort()
            self._behind.connection_lost(None)
            return
        self._behind.connection_made(over_tls)
