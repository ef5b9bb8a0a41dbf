"""The process of a transfer, and the pipe by which it tells that its client answers, and that it has ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from netboot.forked import Forked, fork

_ANSWERED: Final = b"a"


class TransferProcess:
    """A process that is to be started. `news` can be read when there is something to `hear`."""

    def __init__(self) -> None:
        """Make the pipe. Raises OSError: no more files may be open."""
        reading, writing = os.pipe()
        self.news = os.fdopen(reading, "rb", buffering=0)
        self._tell = os.fdopen(writing, "wb", buffering=0)
        self._process: Forked | None = None

    def start(self, live: Callable[[], int]) -> None:
        """Fork; once. live: what the child does, to its exit status. Raises OSError: there is no child."""
        self._process = fork(live)
        self._tell.close()  # the child alone has this end now, and it ends with it

    def tell_answered(self) -> None:
        """Say, in the child, that the client has answered."""
        self._tell.write(_ANSWERED)

    def hear(self) -> bool:
        """What there is to tell. True: the client has answered. False: the process has ended."""
        return bool(self.news.read(1))

    def kill(self) -> None:
        """End it; it still has to be collected."""
        if self._process:
            self._process.kill()

    def collect(self) -> int:
        """Wait for a child that has ended, or is about to; its exit status."""
        self.close()
        return self._process.wait() if self._process else 0

    def close(self) -> None:
        """Give the pipe back."""
        self.news.close()
        self._tell.close()
