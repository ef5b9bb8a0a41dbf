"""The web process: listens on the public port, splices, and looks after gunicorn, which is its child.

Told to end (SIGTERM), it stops listening and tells gunicorn, which finishes the requests under way; agents' tunnels
are closed last, and their agents dial again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

import structlog

import config
from app.child import Child
from app.errors import StartError
from app.front.listen import Acceptor, open_listeners
from app.front.splice import Backends, Splicer
from app.ports import check_free
from config.settings import Settings

log = structlog.get_logger()

# A dead gunicorn is seen this fast; until then and while it starts, clients get 503 and ask again.
LOOK_AFTER_EVERY_S: Final = 0.2
# gunicorn gives its requests 5 s to finish; a supervisor gives all of us 10.
STOP_LIMIT_S: Final = 7.0
STOP_POLL_S: Final = 0.05
# Two files for each connection; the usual soft limit of 1,024 would end at 500 agents.
WANTED_FILES: Final = 65_536


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. A port that cannot be had ends the process with status 1 and one message."""
    _allow_many_files()
    try:
        listeners = _listen(settings, settings.api_port, "--api-port")
        for_tls = _listen(settings, settings.tls_api_port, "--tls-api-port") if settings.tls_enabled else []
        asyncio.run(_serve(settings, listeners, for_tls))
    except StartError as error:
        sys.stderr.write(f"omni-metal: {error}\n")
        sys.exit(1)


def _listen(settings: Settings, port: int, option: str) -> list[socket.socket]:
    check_free(settings.api_listen_address, port, option)  # says who is in the way
    try:
        return open_listeners(settings.api_listen_address, port)
    except OSError as error:
        raise StartError(
            f"port {port} cannot be listened on ({error.strerror}); choose another with {option}"
        ) from None


async def _serve(settings: Settings, listeners: list[socket.socket], for_tls: list[socket.socket]) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    run_dir = settings.run_dir
    splicer = Splicer(Backends(web=run_dir / "web.sock", gateway=run_dir / "gateway.sock"))
    acceptors = [Acceptor(listener, splicer.take) for listener in listeners]
    gunicorn = Child("gunicorn", _gunicorn_command(), os.environ, death_signal=signal.SIGTERM)
    try:
        with _tls_port(settings, splicer, for_tls):
            gunicorn.start()
            log.info("public_port_open", port=settings.api_port)
            await _look_after(gunicorn, stopping)
    finally:
        for acceptor in acceptors:
            acceptor.close()
        await _stop(gunicorn)
        splicer.close()


def _tls_port(
    settings: Settings, splicer: Splicer, listeners: list[socket.socket]
) -> contextlib.AbstractContextManager[None]:
    if not listeners:
        return contextlib.nullcontext()
    from app.front.tls_port import tls_port  # noqa: PLC0415 - 20 MB that nothing but TLS needs

    return tls_port(settings, splicer, listeners)


async def _look_after(gunicorn: Child, stopping: asyncio.Event) -> None:
    """Keep gunicorn running until we are told to end. Raises StartError when it never starts."""
    while not stopping.is_set():
        hopeless = gunicorn.look_after()
        if hopeless:
            raise StartError(hopeless)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), LOOK_AFTER_EVERY_S)


async def _stop(gunicorn: Child) -> None:
    """Ask gunicorn to end; connections go on meanwhile."""
    gunicorn.terminate()
    deadline_s = time.monotonic() + STOP_LIMIT_S
    while gunicorn.runs and time.monotonic() < deadline_s:  # noqa: ASYNC110 - a process sets no event
        await asyncio.sleep(STOP_POLL_S)
    gunicorn.kill()


def _gunicorn_command() -> list[str]:
    settings_file = Path(config.__file__).parent / "gunicorn.py"
    return [sys.executable, "-m", "gunicorn", "-c", str(settings_file), "app.web.wsgi:application"]


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
