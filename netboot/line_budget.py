"""Keeps what strangers send from filling the log: so many lines a second, and then how many were left out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

# More than a thousand machines cause that boot within ten seconds; a flood fills no disk (some 100 KB a second).
LINES_PER_SECOND: Final = 500


class BudgetedLog:
    """A log that takes LINES_PER_SECOND of each event, so that none keeps another from being written.

    log: where lines go. clock: gives seconds that only rise.
    """

    def __init__(self, log: FilteringBoundLogger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._budgets: dict[str, LineBudget] = {}

    def debug(self, event: str, **fields: object) -> None:
        """As of every log; likewise below."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """What went on."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """What is worth a look."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """A fault."""
        self._write(logging.ERROR, event, fields)

    def left_out(self, *, at_end: bool = False) -> int:
        """How many lines were not written, since it was asked last.

        at_end: also those of this second, in which more may come.
        """
        return sum(budget.left_out(at_end=at_end) for budget in self._budgets.values())

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        if not self._log.is_enabled_for(level):
            return
        if event not in self._budgets:
            self._budgets[event] = LineBudget(self._clock)
        if self._budgets[event].take():
            self._log.log(level, event, **fields)


class LineBudget:
    """How many lines may still be written in this second. clock: gives seconds that only rise."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = int(clock())
        self._written = 0
        self._left_out = 0

    def take(self) -> bool:
        """Whether a line may be written now."""
        self._turn()
        if self._written >= LINES_PER_SECOND:
            self._left_out += 1
            return False
        self._written += 1
        return True

    def left_out(self, *, at_end: bool) -> int:
        """How many lines were not written, since it was asked last; of this second `at_end` alone."""
        self._turn()
        if self._written >= LINES_PER_SECOND and not at_end:
            return 0
        left_out, self._left_out = self._left_out, 0
        return left_out

    def _turn(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second, self._written = second, 0
