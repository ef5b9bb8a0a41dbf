"""Since when watcher, gateways and registry have been up without a gap.

A tunnel that is not there only says something about a machine if somebody would have noticed it.
"""

from __future__ import annotations

import redis

from app.state.connection import now_ms
from app.state.health import live_gateways
from app.state.mirror_keys import TRACKING

# The watcher writes it every second; a watcher that stops leaves it to run out.
TRACKING_S = 10


class Tracking:
    """Keeps the mark; lives in the active watcher."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._gateways: set[str] = set()
        self._since_ms = 0

    def update(self) -> None:
        """Look at the gateways and write the mark. Raises `redis.RedisError`."""
        gateways = live_gateways(self._redis)
        gap = not gateways or self._gateways - gateways or not self._redis.exists(TRACKING)
        now = now_ms(self._redis)
        if gap or not self._since_ms or self._since_ms > now:  # ahead: the clock was put back
            self._since_ms = now
        self._gateways = gateways
        if gateways:
            self._redis.set(TRACKING, self._since_ms, ex=TRACKING_S)
        else:
            self._redis.delete(TRACKING)
