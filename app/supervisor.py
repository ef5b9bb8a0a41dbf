"""`omni-metal run`: the whole provider on one machine, each of its processes a child that is kept running.

Nothing is started before the settings, the state directory, the ports and Redis have been found good. When it ends,
in peace or by kill -9, no process and no port of it is left behind.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import Final

import structlog

from app.bundled_redis import BundledRedis
from app.child import WRONG_USAGE, Child
from app.errors import StartError
from app.flower_access import flower_address
from app.instance import hold_state_dir
from app.start_checks import CHECKED
from app.startup import check_ports, check_redis, say_what_is_missing
from config import logs
from config.commandline import secrets_apart
from config.options import OPTIONS
from config.settings import Settings

log = structlog.get_logger()

PROCESSES: Final[Mapping[str, tuple[str, ...]]] = {
    "web": ("web",),
    "gateway": ("gateway",),
    "watcher": ("watcher",),
    "worker-bmc": ("worker", "bmc"),
    "worker-poll": ("worker", "poll"),
    "worker-wipe": ("worker", "wipe"),
    "beat": ("beat",),
    "flower": ("flower",),
}
# How often the children are looked at; a dead one has half a second of pause anyway.
LOOK_S: Final = 0.1
# A Celery worker that is asked to end waits for its tasks without limit. What is cut off is decided anew later.
STOP_TIMEOUT_S: Final = 7.0
# Redis writes what it holds to disk; together with the above it stays within the ten seconds of `docker stop`.
REDIS_STOP_TIMEOUT_S: Final = 2.0
FAILED: Final = 1
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Keeps children running until a signal says to stop, or one of them cannot be started."""

    def __init__(self, children: Sequence[Child], last: Sequence[Child] = ()) -> None:
        """`last` are running already, and are stopped when all others have ended."""
        self._children = tuple(children)
        self._last = tuple(last)
        self._stop = threading.Event()
        self._hurry = False

    def run(self) -> int:
        """Start the children and look after them; return the exit status."""
        previous = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        try:
            return self._look_after()
        finally:
            self._stop_all(self._children, STOP_TIMEOUT_S)
            self._stop_all(self._last, REDIS_STOP_TIMEOUT_S)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _look_after(self) -> int:
        for child in self._children:
            child.start()
        while not self._stop.wait(LOOK_S):
            for child in (*self._last, *self._children):
                hopeless = child.look_after()
                if hopeless:
                    _tell(hopeless)
                    return WRONG_USAGE if child.misused else FAILED
        return 0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._hurry = self._stop.is_set()
        self._stop.set()

    def _stop_all(self, children: Sequence[Child], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        for child in children:
            child.terminate()
        while any(child.runs for child in children) and time.monotonic() < deadline and not self._hurry:
            time.sleep(LOOK_S / 2)
        for child in children:
            if child.runs:
                log.warning("process_killed", child=child.name)
            child.kill()


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
        _tell(str(error))
        return FAILED


def _run(settings: Settings, options: Sequence[str], environ: Mapping[str, str]) -> int:
    check_ports(settings)
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
    children = [Child(name, _command(words, options), environ) for name, words in _processes(settings).items()]
    log.info("starting", address=f"{settings.api_advertise_address}:{settings.api_port}", id=settings.id)
    return Supervisor(children, last).run()


def _processes(settings: Settings) -> dict[str, tuple[str, ...]]:
    return {name: words for name, words in PROCESSES.items() if name != "flower" or not settings.disable_flower}


def _flower_link(settings: Settings) -> dict[str, str]:
    """What tells the pages where our Flower is, unless they are told something else."""
    if settings.disable_flower or "flower-url" in settings.given:
        return {}
    return {OPTIONS["flower-url"].variable: flower_address(settings)}


def _command(words: Sequence[str], options: Sequence[str]) -> list[str]:
    # -P: a folder named `app` or `config` where the person happens to be must not stand in for ours.
    return [sys.executable, "-P", "-m", "app.cli", *words, *options]


def _tell(message: str) -> None:
    print(f"omni-metal: {message}", file=sys.stderr, flush=True)  # noqa: T201 - for the person, not for the log
