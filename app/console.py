"""What a command says to the person who gave it, beside its output."""

from __future__ import annotations

import sys
from typing import Final

from app.startup import redis_trouble, without_login
from config.settings import Settings

FAILED: Final = 1


def tell(message: str) -> None:
    """Write a line to standard error."""
    print(f"omni-metal: {message}", file=sys.stderr)  # noqa: T201 - for the person, not for the log


def no_redis(settings: Settings, error: Exception) -> int:
    """Say what is wrong with Redis, and what to do; return the exit status."""
    reason, remedy = redis_trouble(error)
    tell(
        f"Redis at {without_login(settings.redis_url)} {reason}; {remedy}, or name the --state-dir of the "
        "omni-metal run that is meant"
    )
    return FAILED
