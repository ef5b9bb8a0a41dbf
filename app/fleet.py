"""What a person asks a running provider for at the command line: the list of machines, and a retry."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Final

import redis
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.bundled_redis import socket_path
from app.startup import without_login
from app.state.connection import connect
from app.state.mirror import Mirror, MirrorUnreadable
from app.state.secrets import sealer
from app.state.view import MachineView, Views
from app.web.schemas import MachineDetailSchema
from config.settings import Settings
from workers.enqueue import QueueUnavailable, retry

FAILED: Final = 1
# Where the output is no terminal, lines are as long as they need to be.
WIDTH_OF_A_PIPE: Final = 250


def with_bundled_redis(settings: Settings) -> Settings:
    """Return settings that use the Redis which `omni-metal run` has started in this state directory, if it has."""
    if not settings.state_dir.exists():
        return settings
    socket = socket_path(settings.run_dir)
    return replace(settings, redis_url=f"unix://{socket}") if socket.exists() else settings


def show_machines(settings: Settings, *, as_json: bool) -> int:
    """Write the list of machines to standard output; return the exit status."""
    try:
        client = connect(settings)
        client.ping()  # before anything is made in a state directory that is not the right one
        seal = sealer(settings)
        views = Views(client, seal, settings).all()
        complete = Mirror(client, seal).complete()
    except MirrorUnreadable as error:
        _tell(str(error))
        return FAILED
    except redis.RedisError as error:
        return _no_redis(settings, error)
    if as_json:
        print(json.dumps(MachineDetailSchema(many=True).dump(views), indent=2))  # noqa: T201 - the command's output
    else:
        _print_table(views)
    if not complete:
        _tell("the picture of Omni is not complete yet: is the watcher running, and does Omni answer?")
    return 0


def retry_machine(settings: Settings, machine_id: str) -> int:
    """Start what is due on a machine; return the exit status, 1 where nothing was started."""
    client = connect(settings)
    try:
        client.ping()
        if machine_id not in Mirror(client, sealer(settings)).machine_ids():
            _tell(f"there is no machine {machine_id}; see omni-metal machines")
            return FAILED
        result = retry(settings, client, machine_id, "command line")
    except MirrorUnreadable as error:
        _tell(str(error))
        return FAILED
    except (redis.RedisError, QueueUnavailable) as error:
        return _no_redis(settings, error)
    if not result.started:
        _tell(f"nothing was started: {result.skipped}")
        return FAILED
    print(f"started: {', '.join(result.started)}")  # noqa: T201 - the command's output
    return 0


def _print_table(views: list[MachineView]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("MACHINE", "PHASE", "POWER", "AGENT"):
        table.add_column(column, no_wrap=True)
    table.add_column("WHAT AND WHY", overflow="fold")
    for view in sorted(views, key=lambda view: view.machine.id):
        facts = view.machine.facts
        power = _word(facts.powered_on, "on", "off")
        agent = _word(facts.agent_accessible, "yes", "no")
        # Text, not str: what comes from machines must not be read as markup.
        table.add_row(*(Text(word) for word in (view.machine.id, view.phase, power, agent, view.sentence)))
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_A_PIPE)
    console.print(table)


def _word(value: bool | None, yes: str, no: str) -> str:  # noqa: FBT001 - a fact, not a switch
    if value is None:
        return "unknown"
    return yes if value else no


def _no_redis(settings: Settings, error: Exception) -> int:
    _tell(
        f"Redis at {without_login(settings.redis_url)} does not answer ({error}); is omni-metal run running? Name its "
        "--state-dir, or its --redis-url"
    )
    return FAILED


def _tell(message: str) -> None:
    print(f"omni-metal: {message}", file=sys.stderr)  # noqa: T201 - for the person, not for the log
