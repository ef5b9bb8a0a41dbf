"""The real watcher process over a fleet, with an Omni in this process and a Redis of its own, and others beside it.

with Watched(machine_ids(1000)) as watched:
    watched.settle()
    ...
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import redis

from app.bundled_redis import server_binary
from app.state.health import health
from app.state.mirror_keys import FRESH
from config.options import OPTIONS
from lab.bench.fleet import put_machine
from lab.omni import StandInOmni
from lab.omni.certificates import make_certificate
from lab.omni.keys import make_key
from lab.omni.signatures import Signatures
from lab.omni.thread import OmniThread
from lab.product import child_environment

PROVIDER: Final = "bench"
PROGRAM: Final = (sys.executable, "-m", "app.cli")
# Eight lists of 5,000 resources, and a first report on each machine, on a busy machine.
SETTLED_LIMIT_S: Final = 300.0
# Redis has nothing to read and answers within a fraction of a second.
REDIS_LIMIT_S: Final = 30.0
STOP_LIMIT_S: Final = 30.0
QUIET_S: Final = 3.0
LOOK_S: Final = 0.2


class Watched:
    """A fleet that is watched; as a context manager.

    put: puts a machine into Omni.
    beside: commands of further processes, which get the same options.
    options: further ones of all processes.
    """

    def __init__(
        self,
        ids: Sequence[str],
        put: Callable[[str, StandInOmni], None] = put_machine,
        beside: Sequence[Sequence[str]] = (),
        options: Sequence[str] = (),
    ) -> None:
        self.machine_ids = list(ids)
        self._put, self._beside, self._more_options = put, beside, options
        self._key = make_key(PROVIDER)
        self.omni = OmniThread(PROVIDER, signatures=Signatures(self._key), certificate=make_certificate("omni.lab"))
        self._ends = ExitStack()
        self.log = Path()
        self.client: Any = None
        self.pid = 0
        self.pids: list[int] = []
        self.redis_url = ""

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="omni-metal-bench-")))
            self.log = folder / "log"
            ends.enter_context(self.omni)
            for machine_id in self.machine_ids:
                self.omni.do(partial(self._put, machine_id))
            self._start_redis(folder, ends)
            self._start_provider(folder, ends)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def settle(self) -> float:
        """Wait until the mirror is complete and no report is written any more; the answer is how long it took, in s.

        Raises:
            TimeoutError: it did not settle; with the end of the watcher's log.
        """
        began_s = changed_s = time.monotonic()
        calls = -1
        while time.monotonic() - changed_s < QUIET_S:
            if time.monotonic() - began_s > SETTLED_LIMIT_S:
                raise TimeoutError(f"the watcher has not settled:\n{self.last_words()}")
            time.sleep(LOOK_S)
            found = health(self.client)
            now = self.omni.do(lambda o: sum(n for name, n in o.calls.items() if "Health" not in name))
            if now != calls or not (found.omni_connected and found.mirror_complete):
                calls, changed_s = now, time.monotonic()
        return changed_s - began_s

    def last_words(self) -> str:
        """The end of what the processes have logged."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def _start_redis(self, folder: Path, ends: ExitStack) -> None:
        """As `omni-metal run` does. Not by its own means: between fork and exec they run Python, beside our threads."""
        socket = folder / "redis.sock"
        place = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", "", "--appendonly", "yes"]
        self._start([server_binary(), *place], {}, ends)
        self.redis_url = f"unix://{socket}"
        self.client = ends.enter_context(redis.Redis(unix_socket_path=str(socket)))
        deadline_s = time.monotonic() + REDIS_LIMIT_S
        while not socket.exists() and time.monotonic() < deadline_s:
            time.sleep(LOOK_S)
        self.client.set(FRESH, "1")

    def _start_provider(self, folder: Path, ends: ExitStack) -> None:
        options = [
            f"--id={PROVIDER}",
            f"--omni-api-endpoint={self.omni.endpoint}",
            "--insecure-skip-tls-verify",
            "--api-advertise-address=127.0.0.1",
            "--disable-dhcp-proxy",
            f"--redis-url={self.redis_url}",
            f"--state-dir={folder / 'state'}",
            *self._more_options,
        ]
        key = {OPTIONS["service-account-key"].variable: self._key.variable}
        self.pid = self._start([*PROGRAM, "watcher", *options], key, ends)
        for command in self._beside:
            self._start([*command, *options], key, ends)

    def _start(self, command: list[str], secrets: dict[str, str], ends: ExitStack) -> int:
        """Start a program that ends with us; the answer is its process id."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - programs of our own choice
                [sys.executable, "-m", "lab.tether", str(os.getpid()), *command],
                env=child_environment(os.environ) | secrets,
                stdout=log,
                stderr=log,
            )
        ends.callback(_end, process)
        self.pids.append(process.pid)
        return process.pid


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
