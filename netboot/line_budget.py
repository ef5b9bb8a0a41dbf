"""Keeps what strangers send from filling the log: so many lines a second, and then how many were left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# More than a thousand machines cause that boot within ten seconds; a flood fills no disk (some 100 KB a second).
LINES_PER_SECOND: Final = 500


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

    def left_out(self) -> int:
        """How many lines were not written in seconds that are over, since it was asked last."""
        self._turn()
        if not self._left_out or self._written >= LINES_PER_SECOND:
            return 0
        left_out, self._left_out = self._left_out, 0
        return left_out

    def _turn(self) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second, self._written = second, 0
