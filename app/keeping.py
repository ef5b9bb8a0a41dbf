"""Keeps child processes running until a signal says to stop, and stops them in their order."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

import structlog

from app.child import WRONG_USAGE, Child

log = structlog.get_logger()

# How often the children are looked at; a dead one has half a second of pause anyway.
LOOK_S: Final = 0.1
# A Celery worker that is asked to end waits for its tasks without limit. What is cut off is decided anew later.
STOP_TIMEOUT_S: Final = 7.0
# Redis writes what it holds to disk; together with the above it stays within the ten seconds of `docker stop`.
LAST_STOP_TIMEOUT_S: Final = 2.0
FAILED: Final = 1
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Keeps children running until a signal says to stop, or one of them cannot be started."""

    def __init__(
        self,
        children: Sequence[Child],
        last: Sequence[Child] = (),
        *,
        stop_timeout_s: float = STOP_TIMEOUT_S,
        each_look: Callable[[], None] = lambda: None,
    ) -> None:
        """Describe what to keep running; nothing is started yet.

        Args:
            children: what is started and kept running.
            last: what runs already, and is stopped when all others have ended.
            stop_timeout_s: how long the children have to end before they are killed.
            each_look: done at each look at the children, ten times a second.
        """
        self._children = tuple(children)
        self._last = tuple(last)
        self._stop_timeout_s = stop_timeout_s
        self._each_look = each_look
        self._stop = threading.Event()
        self._hurry = False

    def run(self) -> int:
        """Start the children and look after them; return the exit status."""
        previous = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        try:
            return self._look_after()
        finally:
            self._stop_all(self._children, self._stop_timeout_s)
            self._stop_all(self._last, LAST_STOP_TIMEOUT_S)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _look_after(self) -> int:
        while not self._stop.is_set():
            for child in (*self._last, *self._children):
                hopeless = child.look_after()
                if hopeless:
                    tell(hopeless)
                    return WRONG_USAGE if child.misused else FAILED
            self._each_look()
            self._stop.wait(LOOK_S)
        return 0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._hurry = self._stop.is_set()
        self._stop.set()

    def _stop_all(self, children: Sequence[Child], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        for child in children:
            child.terminate()
        while any(child.runs for child in children) and time.monotonic() < deadline and not self._hurry:
            time.sleep(LOOK_S / 2)
        for child in children:
            if child.runs:
                log.warning("process_killed", child=child.name)
            child.kill()


def tell(message: str) -> None:
    """Say to the person who started the program why it ends."""
    print(f"omni-metal: {message}", file=sys.stderr, flush=True)  # noqa: T201 - for the person, not for the log
