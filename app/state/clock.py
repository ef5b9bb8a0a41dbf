"""Redis' clock put forward or back: who notices it, and what then lives longer than anybody meant.

All times in Redis are by its own clock, so that hosts need not agree on one. Whoever loads a picture compares that
clock with its own monotonic one; a step is noted in Redis, and every picture tells of it (`Facts.clock_stepped`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

import redis
import structlog

log = structlog.get_logger()

STEPPED = "om:clock-stepped"
# Leases and registry entries live 20 s and more; a step that is shorter than this hurts nothing.
STEP_MS = 5_000
# Leases that a step has ended are taken again within 10 s by those who hold them; until then nobody else may.
SETTLES_MS = 15_000
# By then every pause that a step could have cut short is over.
_NOTED_S = 86_400
_CUT_AT_A_TIME = 500

_CUT_LUA = """
for i, key in ipairs(KEYS) do
  if redis.call('PTTL', key) > tonumber(ARGV[i]) then redis.call('PEXPIRE', key, ARGV[i]) end
end
"""


class ClockWatch:
    """Tells of a step of Redis' clock that nobody has told of yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead_ms: tuple[float, float] | None = None
        self._answered_s = 0.0

    def stepped(self, redis_ms: int, asked_s: float, answered_s: float, noted_ms: int) -> bool:
        """Whether the clock was put forward or back since this was last asked, and nobody has noted it.

        redis_ms: what Redis' clock showed, at some time between question and answer.
        asked_s, answered_s: when that was, by our monotonic clock.
        noted_ms: the step that was noted last, by Redis' clock; 0 = none.
        """
        lowest_ms, highest_ms = redis_ms - answered_s * 1000, redis_ms - asked_s * 1000
        with self._lock:
            before, last_s = self._ahead_ms, self._answered_s
            if before is not None and asked_s < last_s:
                return False  # of two questions at the same time nobody knows which was answered first
            self._ahead_ms, self._answered_s = (lowest_ms, highest_ms), answered_s
        if before is None or (before[0] - STEP_MS <= highest_ms and lowest_ms <= before[1] + STEP_MS):
            return False
        noted_ago_ms = redis_ms - noted_ms
        return not -STEP_MS <= noted_ago_ms <= (answered_s - last_s) * 1000 + STEP_MS


def note_step(client: redis.Redis, redis_ms: int) -> None:
    """The clock was put forward or back, and shows this now."""
    log.warning("redis_clock_stepped", now_ms=redis_ms)
    client.set(STEPPED, redis_ms, ex=_NOTED_S)


def cut_lifetimes(client: redis.Redis, longest_ms: Mapping[str, int]) -> None:
    """Let no key live for longer than it may: where the clock was put back, it would by as much."""
    cut = client.register_script(_CUT_LUA)
    for part in _parts(list(longest_ms.items())):
        cut(keys=[key for key, _ in part], args=[most for _, most in part])


def _parts(items: list[tuple[str, int]]) -> Iterable[list[tuple[str, int]]]:
    return (items[start : start + _CUT_AT_A_TIME] for start in range(0, len(items), _CUT_AT_A_TIME))
