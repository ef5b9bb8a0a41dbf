"""Log lines that anybody can cause at will: one of a kind in a while, with how many it stands for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

log = structlog.get_logger()

# A person who tries something finds it in the log, and a flood does not fill the disk.
SAY_EVERY_S: Final = 10.0


class SparingLog:
    """The lines of one process. Safe to use from many threads."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._unsaid: dict[str, int] = {}
        self._said_s: dict[str, float] = {}

    def warning(self, event: str, **fields: Any) -> None:
        """Say this, unless the same event was said a moment ago; `times` is how often it came since then."""
        with self._lock:
            times, now_s = self._unsaid.get(event, 0) + 1, self._clock_s()
            if now_s - self._said_s.get(event, float("-inf")) < SAY_EVERY_S:
                self._unsaid[event] = times
                return
            self._unsaid[event], self._said_s[event] = 0, now_s
        log.log(logging.WARNING, event, **fields, times=times)
