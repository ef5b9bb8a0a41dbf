"""What keeps the provider from working, as it is told to the operator: in the log, in `/readyz` and on the pages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import redis

from app.omni.errors import OmniError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    code: short, and the same in every version. words: what is wrong. remedy: what to do about it, or ''.
    """

    code: str
    words: str
    remedy: str = ""

    @classmethod
    def of(cls, error: OmniError) -> Self:
        """What a call to Omni failed with; not for which machine, since everybody may ask `/readyz`."""
        kind = error.subject.partition("/")[0]
        return cls(error.code, f"{error.method} {kind}: {error.words}" if kind else str(error), error.hint)

    def about(self, subject: str) -> Problem:
        """The same, told of something."""
        return replace(self, words=f"{subject}: {self.words}")


NOT_YET = Problem("starting", "Omni has not been reached yet")


def redis_away(error: redis.RedisError) -> Problem:
    """Redis does not answer."""
    words = f"Redis does not answer ({type(error).__name__})"
    return Problem("redis-unreachable", words, "Is it running, and is --redis-url right and reachable from here?")


def fault(what: str, error: Exception) -> Problem:
    """A fault of this program."""
    words = f"{what}: {type(error).__name__}: {error}"
    return Problem("fault", words, "This is a fault of this program; its log has the traceback.")
