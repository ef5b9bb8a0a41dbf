"""Keeps the lease on a BMC alive while a call lasts: some take a minute, as a reset that is waited for.

One thread per process looks at the calls that are under way, and ends when there are none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from app.state.bmc_lease import LEASE_MS

# Two of three tries may fail.
LOOK_EVERY_S = LEASE_MS / 1000 / 3


class Caller(Protocol):
    """Who has a call under way."""

    def stay(self) -> None:
        """Have the lease live on, if that is due. Raises nothing."""


class Calls:
    """The calls of a process that are under way."""

    def __init__(self, look_every_s: float = LOOK_EVERY_S) -> None:
        self._look_every_s = look_every_s
        self._callers: set[Caller] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def during(self, caller: Caller) -> Iterator[None]:
        """Look after this one while a call of it is made inside."""
        with self._lock:
            self._callers.add(caller)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bmc-calls", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._callers.discard(caller)

    def _run(self) -> None:
        while True:
            time.sleep(self._look_every_s)
            with self._lock:
                callers = list(self._callers)
                if not callers:
                    self._thread = None
                    return
            for caller in callers:
                caller.stay()
