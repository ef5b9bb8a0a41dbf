"""When Omni has collected a machine's information: some time after it is both accepted and connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Collector:
    """Tells `done` of each machine once."""

    def __init__(self, delay_s: float, done: Callable[[str], None]) -> None:
        self._delay_s = delay_s
        self._done = done
        self._accepted: set[str] = set()
        self._connected: set[str] = set()
        self._collected: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def accepted(self, machine_id: str) -> None:
        """The operator has accepted it."""
        self._accepted.add(machine_id)
        self._start(machine_id)

    def connected(self, machine_id: str) -> None:
        """It is connected."""
        self._connected.add(machine_id)
        self._start(machine_id)

    def disconnected(self, machine_id: str) -> None:
        """It is not connected any more."""
        self._connected.discard(machine_id)
        self._stop(machine_id)

    def forget(self, machine_id: str) -> None:
        """It was removed. Its connection, if any, is another matter."""
        self._accepted.discard(machine_id)
        self._collected.discard(machine_id)
        self._stop(machine_id)

    def collected(self, machine_id: str) -> bool:
        """Whether its information is there."""
        return machine_id in self._collected

    def stop(self) -> None:
        """Collect nothing more."""
        for machine_id in tuple(self._timers):
            self._stop(machine_id)

    def _start(self, machine_id: str) -> None:
        ready = machine_id in self._accepted & self._connected
        if ready and machine_id not in self._collected and machine_id not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[machine_id] = loop.call_later(self._delay_s, self._finish, machine_id)

    def _stop(self, machine_id: str) -> None:
        timer = self._timers.pop(machine_id, None)
        if timer is not None:
            timer.cancel()

    def _finish(self, machine_id: str) -> None:
        del self._timers[machine_id]
        self._collected.add(machine_id)
        self._done(machine_id)
