"""`omni-metal run`: the whole provider on one machine, each of its processes a child that is kept running.

Nothing is started before the settings, the state directory, the ports and Redis have been found good. When it ends,
in peace or by kill -9, no process and no port of it is left behind.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from app.bundled_redis import BundledRedis
from app.child import Child
from app.errors import StartError
from app.flower_access import flower_address
from app.instance import hold_state_dir
from app.keeping import FAILED, Supervisor, tell
from app.start_checks import CHECKED
from app.startup import check_ports, check_redis, say_what_is_missing
from config import logs
from config.addresses import split_address
from config.commandline import secrets_apart
from config.forgetting import SECRET_VARIABLES
from config.options import OPTIONS
from config.settings import Settings

log = structlog.get_logger()

# Linux' own; a host that lets everybody have lower ones needs no capability for them.
FIRST_FREE_PORT: Final = 1024
TFTP_PORT: Final = 69

PROCESSES: Final[Mapping[str, tuple[str, ...]]] = {
    "web": ("web",),
    "netboot": ("netboot",),
    "gateway": ("gateway",),
    "watcher": ("watcher",),
    "worker-bmc": ("worker", "bmc"),
    "worker-poll": ("worker", "poll"),
    "worker-wipe": ("worker", "wipe"),
    "beat": ("beat",),
    "flower": ("flower",),
}


def run(settings: Settings, options: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the provider until a signal comes; return the exit status.

    Args:
        settings: what was read from `options` and `environ`.
        options: the command line, handed to every process but for its secrets, which take the environment.
        environ: the environment, likewise.
    """
    logs.configure(settings.debug, "run")
    try:
        with hold_state_dir(settings.state_dir):
            return _run(settings, options, environ)
    except StartError as error:
        tell(str(error))
        return FAILED


def _run(settings: Settings, options: Sequence[str], environ: Mapping[str, str]) -> int:
    check_ports(settings)
    _check_netboot(settings)
    last: list[Child] = []
    if "redis-url" in settings.given:
        check_redis(settings)
    else:
        server = BundledRedis(settings.state_dir, settings.run_dir, environ)
        server.start()
        last.append(server.child)
        environ = {**environ, "OMNI_METAL_REDIS_URL": server.url}
        settings = replace(settings, redis_url=server.url)
    say_what_is_missing(settings)
    options, secrets = secrets_apart(options)
    environ = {**environ, **_flower_link(settings), **secrets, CHECKED: "1"}
    processes = _processes(settings).items()
    kept = keeps_rights(settings)
    children = [
        Child(name, _command(words, options), _environ_of(name, environ), keeps_rights=name in kept)
        for name, words in processes
    ]
    log.info("starting", address=f"{settings.api_advertise_address}:{settings.api_port}", id=settings.id)
    return Supervisor(children, last).run()


def keeps_rights(settings: Settings) -> set[str]:
    """The processes that open a port below 1024, and keep the capability for it where it was given to us alone."""
    ports = {
        "netboot": (TFTP_PORT,),
        "web": (settings.api_port, *([settings.tls_api_port] if settings.tls_enabled else [])),
        "gateway": (split_address(settings.gateway_listen)[1],),
        "flower": (split_address(settings.flower_listen)[1],),
    }
    return {name for name, used in ports.items() if min(used) < FIRST_FREE_PORT}


def _processes(settings: Settings) -> dict[str, tuple[str, ...]]:
    left_out = {"flower": settings.disable_flower, "netboot": settings.disable_dhcp_proxy}
    return {name: words for name, words in PROCESSES.items() if not left_out.get(name)}


def _environ_of(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What stands in the environment of a process; that which speaks with strangers knows no secret."""
    if name != "netboot":
        return dict(environ)
    return {variable: value for variable, value in environ.items() if variable not in SECRET_VARIABLES}


def _check_netboot(settings: Settings) -> None:
    """Raise StartError where DHCP proxy and TFTP could not start."""
    if not settings.disable_dhcp_proxy:
        from netboot.main import try_start  # noqa: PLC0415 - most of it is of no use without

        try_start(settings)


def _flower_link(settings: Settings) -> dict[str, str]:
    """What tells the pages where our Flower is, unless they are told something else."""
    if settings.disable_flower or "flower-url" in settings.given:
        return {}
    return {OPTIONS["flower-url"].variable: flower_address(settings)}


def _command(words: Sequence[str], options: Sequence[str]) -> list[str]:
    # -P: a folder named `app` or `config` where the person happens to be must not stand in for ours.
    return [sys.executable, "-P", "-m", "app.cli", *words, *options]
