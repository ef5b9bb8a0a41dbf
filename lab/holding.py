"""Calls that a stand-in holds back until it is told to let them go: the moment at which a test stops a process."""

from __future__ import annotations

import asyncio


class Hold:
    """One place where calls wait. `waiting`: how many do now; `came`: how many came in all."""

    def __init__(self) -> None:
        self.waiting = 0
        self.came = 0
        self._released = asyncio.Event()

    async def passed(self) -> None:
        """Wait until the hold is released; whoever gives up waits no more."""
        self.came += 1
        self.waiting += 1
        try:
            await self._released.wait()
        finally:
            self.waiting -= 1

    def release(self) -> None:
        """Let all calls go, and hold no more."""
        self._released.set()
