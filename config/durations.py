"""Durations as Go writes them (`15m`, `1h30m`, `250ms`), read into seconds."""

from __future__ import annotations

import re

SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
WHOLE = re.compile(rf"([+-]?)((?:{PART.pattern})+)", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds of a Go duration.

    Raises:
        ValueError: the text is no duration; a number without a unit is one only if it is 0.
    """
    if text in ("0", "+0", "-0"):
        return 0.0
    match = WHOLE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration")
    seconds = sum(float(number) * SECONDS[unit] for number, unit in PART.findall(match[2]))
    return -seconds if match[1] == "-" else seconds
