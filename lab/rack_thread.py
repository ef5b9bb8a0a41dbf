"""A rack for code that is not asynchronous: its event loop runs in a thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Final, Self, TypeVar

from lab.rack import Rack, RackOptions

T = TypeVar("T")

START_TIMEOUT_S: Final = 30.0  # a thousand BMCs open their ports in a second or two
LOOK_S: Final = 0.05


class RackThread:
    """Use as a context manager. What has to do with the rack's loop goes through `call` and `wait`."""

    def __init__(self, options: RackOptions | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rack", daemon=True)
        self._options = options
        self.rack: Rack

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.rack = self.call(lambda: Rack(self._options))
            self.wait(self.rack.start)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait(self.rack.stop)
        finally:
            self._end()

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the rack's loop and return its result."""

        async def called() -> T:
            return function()

        return self.wait(called)

    def wait(self, function: Callable[[], Awaitable[T]], timeout_s: float = START_TIMEOUT_S) -> T:
        """Run a coroutine function in the rack's loop and return its result."""

        async def awaited() -> T:
            return await function()

        future: Future[T] = asyncio.run_coroutine_threadsafe(awaited(), self._loop)
        return future.result(timeout_s)

    def until(self, holds: Callable[[Rack], object], timeout_s: float, what: str) -> float:
        """Wait until something holds of the rack; returns how many seconds it took.

        Raises:
            TimeoutError: it did not come to hold in time; the text says what.
        """
        began = time.monotonic()
        while not self.call(lambda: holds(self.rack)):
            if time.monotonic() - began > timeout_s:
                raise TimeoutError(f"{what}: not within {timeout_s:g} s")
            time.sleep(LOOK_S)
        return time.monotonic() - began

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
