"""The gateway process: runs one gateway until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

import structlog

from app.agents.gateway import Addresses, Gateway, PortTaken
from app.alive import SHOW_EVERY_S, Sign
from app.errors import StartError
from app.ports import check_free
from app.state.agents import AgentRegistry
from app.state.connection import connect_async
from app.state.secrets import gateway_token
from config import interpreter
from config.addresses import bracketed, is_wildcard, split_address
from config.settings import Settings

log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. A port in use ends the process with status 1 and one message."""
    interpreter.tune()
    host, port = split_address(settings.gateway_listen)
    try:
        if port:
            check_free(host, port, "--gateway-listen")
        asyncio.run(_serve(settings))
    except (StartError, PortTaken) as error:
        sys.stderr.write(f"omni-metal: {error}\n")
        sys.exit(1)


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with connect_async(settings) as client:
        gateway = Gateway(AgentRegistry(client), gateway_token(settings), addresses(settings))
        await gateway.start()
        sign = Sign(settings, "gateway")
        while not stopping.is_set():
            sign.show()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), SHOW_EVERY_S)
        await gateway.stop()


def addresses(settings: Settings) -> Addresses:
    """Where the gateway of these settings is reached."""
    host, _ = split_address(settings.gateway_listen)
    return Addresses(
        tunnel_socket=settings.run_dir / "gateway.sock",
        internal=settings.gateway_listen,
        advertised_host=bracketed(settings.api_advertise_address) if is_wildcard(host) else "",
        tls_served=settings.tls_enabled,
    )
