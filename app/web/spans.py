"""Times as people say them."""

from __future__ import annotations

from datetime import datetime


def span(seconds: float) -> str:
    """A time, in its largest unit or two."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def ago(now: datetime, then: datetime) -> str:
    """How long ago something was."""
    return span((now - then).total_seconds())


def ago_ms(now: datetime, then_ms: int) -> str:
    """How long ago a moment in Redis' ms was."""
    return span(now.timestamp() - then_ms / 1000)
