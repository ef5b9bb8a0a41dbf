"""Of many times, those that are told."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def p99(times: Sequence[float]) -> float:
    """Of a hundred, 99 are no longer than this; nothing where there are none."""
    ordered = sorted(times)
    return ordered[-(-len(ordered) * 99 // 100) - 1] if ordered else 0.0


def median(times: Sequence[float]) -> float:
    """Half of them are longer; nothing where there are none."""
    return statistics.median(times) if times else 0.0
