"""The sign of life of a process: a file that is touched as long as its work goes round, for health checks to look at.

`run/alive/PROCESS@HOST` in the state directory. A process that hangs, or cannot reach what it works from, lets it age.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import time
from collections.abc import Iterator
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
        """Open the file now, for a process that will have no right to its folder later.

        Raises:
            OSError: it cannot be had, or leads to another file.
        """
        # Of a pipe that nobody reads it would wait for a reader.
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with _opened(self.path.parent) as folder:
            held = os.open(self.path.name, flags, 0o600, dir_fd=folder)
        found = os.fstat(held)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            os.close(held)
            raise OSError(errno.EPERM, "it is not a file of its own", str(self.path))
        self._held = held

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


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder, and not what a link in its place leads to: the state directory may be another user's than root."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _forget_old(folder: Path) -> None:
    since_s = time.time() - FORGET_AFTER_S
    with _opened(folder) as descriptor:
        for name in os.listdir(descriptor):  # noqa: PTH208 - of a folder that is open
            with contextlib.suppress(FileNotFoundError):  # another process does the same
                if os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mtime < since_s:
                    os.unlink(name, dir_fd=descriptor)
