"""The gateway process: runs one gateway until it is told to end."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import sys

import structlog

from app.agents.gateway import Addresses, Gateway, PortTaken
from app.errors import StartError
from app.ports import check_free
from app.state.agents import AgentRegistry
from app.state.connection import connect_async
from app.state.secrets import gateway_token
from config import interpreter
from config.settings import Settings

log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. A port in use ends the process with status 1 and one message."""
    interpreter.tune()
    host, _, port = settings.gateway_listen.rpartition(":")
    try:
        if int(port):
            check_free(host.strip("[]"), int(port), "--gateway-listen")
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
        await stopping.wait()
        await gateway.stop()


def addresses(settings: Settings) -> Addresses:
    """Where the gateway of these settings is reached."""
    host = settings.gateway_listen.rpartition(":")[0]
    return Addresses(
        tunnel_socket=settings.run_dir / "gateway.sock",
        internal=settings.gateway_listen,
        advertised_host=_bracketed(settings.api_advertise_address) if _is_wildcard(host) else "",
    )


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return not host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
