"""The list of machines that a person asks a running provider for at the command line."""

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
from app.console import FAILED, no_redis, tell
from app.state.connection import connect
from app.state.mirror import Mirror
from app.state.mirror_reader import MirrorUnreadable
from app.state.secrets import sealer
from app.state.view import MachineView, Views, refused_words
from app.web.power import power
from app.web.schemas import MachineDetailSchema
from config.settings import Settings

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
        tell(str(error))
        return FAILED
    except redis.RedisError as error:
        return no_redis(settings, error)
    if as_json:
        print(json.dumps(MachineDetailSchema(many=True).dump(views), indent=2))  # noqa: T201 - the command's output
    else:
        _print_table(views)
    if not complete:
        tell("the picture of Omni is not complete yet: is the watcher running, and does Omni answer?")
    return 0


def _print_table(views: list[MachineView]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("MACHINE", "PHASE", "POWER", "AGENT"):
        table.add_column(column, no_wrap=True)
    table.add_column("WHAT AND WHY", overflow="fold")
    for view in sorted(views, key=lambda view: view.machine.id):
        facts = view.machine.facts
        agent = _word(facts.agent_accessible, "yes", "no")
        refused = f"{refused_words(view.refused_tunnel)}. " if view.refused_tunnel else ""
        # Text, not str: what comes from machines must not be read as markup.
        unended = f"{view.unended_reboot} " if view.unended_reboot else ""
        words = (view.machine.id, view.phase, power(view), agent, refused + unended + view.sentence)
        table.add_row(*(Text(word) for word in words))
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_A_PIPE)
    console.print(table)


def _word(value: bool | None, yes: str, no: str) -> str:  # noqa: FBT001 - a fact, not a switch
    if value is None:
        return "unknown"
    return yes if value else no
