"""What a command says to the person who gave it, beside its output."""

from __future__ import annotations

import sys
from typing import Final

from app.startup import without_login
from config.settings import Settings

FAILED: Final = 1


def tell(message: str) -> None:
    """Write a line to standard error."""
    print(f"omni-metal: {message}", file=sys.stderr)  # noqa: T201 - for the person, not for the log


def no_redis(settings: Settings, error: Exception) -> int:
    """Say that Redis does not answer, and what to do; return the exit status."""
    tell(
        f"Redis at {without_login(settings.redis_url)} does not answer ({error}); is omni-metal run running? Name its "
        "--state-dir, or its --redis-url"
    )
    return FAILED
