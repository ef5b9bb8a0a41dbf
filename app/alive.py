"""The sign of life of a process: a file that is touched as long as its work goes round, for health checks to look at.

`run/alive/PROCESS@HOST` in the state directory. A process that hangs, or cannot reach what it works from, lets it age.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import Final

from config.settings import Settings

# Often enough for a health check that allows a minute; rare enough to be no load on any disk.
SHOW_EVERY_S: Final = 5.0
# Files of hosts that are no more: each container has a name of its own.
FORGET_AFTER_S: Final = 86_400.0


class Sign:
    """The sign of this process."""

    def __init__(self, settings: Settings, process: str) -> None:
        self.path = settings.run_dir / "alive" / f"{process}@{socket.gethostname()}"
        self._next_s = 0.0
        self._held: int | None = None
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            _forget_old(self.path.parent)

    def hold(self) -> None:
        """Open the file now, for a process that will have no right to its folder later."""
        with contextlib.suppress(OSError):
            self._held = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def show(self) -> bool:
        """Say that the work goes round; costs nothing when called often. True: it was said now."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + SHOW_EVERY_S
        with contextlib.suppress(OSError):  # a disk that refuses shows as a sign that ages
            self._touch()
        return True

    def _touch(self) -> None:
        if self._held is None:
            self.path.touch()
        else:  # the system asks for the rights to the file where a time is set, and not where something is written
            os.pwrite(self._held, b"\n", 0)


def _forget_old(folder: Path) -> None:
    since_s = time.time() - FORGET_AFTER_S
    for path in folder.iterdir():
        if path.stat().st_mtime < since_s:
            path.unlink(missing_ok=True)
