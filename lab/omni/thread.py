"""The stand-in Omni in a thread of its own, for callers that have no event loop.

with OmniThread("bare-metal") as omni:
    client = Omni(omni.endpoint, "bare-metal")
    omni.do(lambda o: o.join(machine_id))
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from lab.omni.server import StandInOmni

HOST = "127.0.0.1"
# Each of these takes milliseconds; without a limit a mistake would hang whoever waits.
LIMIT_S = 10.0

_Answer = TypeVar("_Answer")


class OmniThread:
    """A stand-in on a free port of the loopback; `checks` are those of StandInOmni."""

    def __init__(self, provider_id: str, **checks: Any) -> None:
        self._omni = StandInOmni(provider_id, **checks)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in-omni", daemon=True)
        self._port = 0

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"{'https' if self._omni.certificate else 'http'}://{HOST}:{self._port}"

    def do(self, act: Callable[[StandInOmni], _Answer]) -> _Answer:
        """Let `act` be done in the stand-in's thread; the answer is what it gives."""

        async def run() -> _Answer:
            return act(self._omni)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(LIMIT_S)

    def start(self) -> None:
        """Answer calls; again at the same port after a `stop`."""
        serving = self._omni.serve(HOST, self._port)
        self._port = asyncio.run_coroutine_threadsafe(serving, self._loop).result(LIMIT_S)

    def stop(self) -> None:
        """Answer no more, and keep the state."""
        asyncio.run_coroutine_threadsafe(self._omni.stop(), self._loop).result(LIMIT_S)

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()
