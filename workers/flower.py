"""The Flower process: every task with its arguments, its result or its failure, behind a password.

Flower's own command would show the password on its command line, and save its history in the midst of whatever it
does when it is told to end; so its application is put together here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from typing import Any, Final

import structlog
from flower.app import Flower
from flower.options import default_options
from flower.urls import settings as page_settings

from app.alive import SHOW_EVERY_S, Sign
from app.errors import StartError
from app.flower_access import FLOWER_USER, flower_password
from app.ports import check_free
from config.addresses import split_address
from config.settings import Settings
from workers.celery_app import app, configure

log = structlog.get_logger()

# About 5 KB each in memory, and 0.1 ms each to read again at the start. Moving all of a thousand machines makes some
# 10,000 tasks.
MOST_TASKS: Final = 20_000
# A worker that ended is of interest for a day; containers get a new name each time they are made.
FORGET_WORKERS_AFTER_S: Final = 86_400
# What a power cut may cost. A save of a full history holds the page up for half a second.
SAVE_EVERY_MS: Final = 60_000
# Flower asks the workers about themselves once, when most have not started, and then only on request.
ASK_WORKERS_EVERY_S: Final = 30.0
COLUMNS: Final = "name,state,kwargs,result,exception,received,runtime,worker,uuid"


def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. What cannot be had ends the process with status 1 and one message."""
    try:
        check_free(*split_address(settings.flower_listen), "--flower-listen")
        _set_options(settings, flower_password(settings))
    except StartError as error:
        sys.stderr.write(f"omni-metal: {error}\n")
        sys.exit(1)
    # It warns of every question that no worker has answered, as at each start.
    logging.getLogger("flower.inspector").setLevel(logging.ERROR)
    configure(settings)
    app.set_default()  # Flower looks results up in the application of whichever thread it is in
    asyncio.run(_serve(settings))


def _set_options(settings: Settings, password: str) -> None:
    host, port = split_address(settings.flower_listen)
    folder = settings.state_dir / "flower"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted: dict[str, Any] = {
        "address": host,
        "port": port,
        "basic_auth": [f"{FLOWER_USER}:{password}"],
        "persistent": True,
        "db": str(folder / "history"),
        "state_save_interval": SAVE_EVERY_MS,
        "max_tasks": MOST_TASKS,
        "purge_offline_workers": FORGET_WORKERS_AFTER_S,
        "enable_events": False,  # our workers send them from their start
        "tasks_columns": COLUMNS,
    }
    for name, value in wanted.items():
        setattr(default_options, name, value)


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    flower = Flower(capp=app, options=default_options, **page_settings)
    flower.start_http_server()
    flower.events.start()
    log.info("flower_open", address=settings.flower_listen)
    sign, ask_at_s = Sign(settings, "flower"), 0.0
    while not stopping.is_set():
        sign.show()
        if time.monotonic() >= ask_at_s:
            ask_at_s = time.monotonic() + ASK_WORKERS_EVERY_S
            flower.update_workers()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), SHOW_EVERY_S)
    flower.events.stop()
