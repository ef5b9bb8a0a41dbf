"""Says in the log of each process that Redis is away, why, and when it is back.

Every process waits for Redis and tries again, each in the way of its libraries, some of which say nothing and some too
much. So a thread of its own asks Redis: at the start, and from then on every few seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.startup import REDIS_TIMEOUT_S, redis_trouble, without_login
from config.settings import Settings

log = structlog.get_logger()

LOOK_EVERY_S: Final = 5.0
# A person who reads the log is to see it, and the rest of the log as well.
SAY_EVERY_S: Final = 60.0


class RedisWatch:
    """Asks Redis now and then."""

    def __init__(self, url: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._url, self._now_s = url, now_s
        self._client: redis.Redis | None = None
        self._away_since_s: float | None = None
        self._said_s = 0.0

    def look(self) -> None:
        """Ask once, and log what is new."""
        trouble = self._ask()
        if trouble is None:
            if self._away_since_s is not None:
                log.info("redis_back", away_s=round(self._now_s() - self._away_since_s))
            self._away_since_s = None
            return
        first = self._away_since_s is None
        if first:
            self._away_since_s = self._now_s()
        if first or self._now_s() - self._said_s >= SAY_EVERY_S:
            self._said_s = self._now_s()
            reason, remedy = trouble
            log.warning("redis_away", address=without_login(self._url), reason=reason, remedy=remedy)

    def _ask(self) -> tuple[str, str] | None:
        try:
            if self._client is None:
                self._client = redis.Redis.from_url(
                    self._url,
                    socket_timeout=REDIS_TIMEOUT_S,
                    socket_connect_timeout=REDIS_TIMEOUT_S,
                    retry=Retry(NoBackoff(), 0),
                )
            self._client.ping()
        except (redis.RedisError, ValueError) as error:
            return redis_trouble(error)
        return None


def watch_redis(settings: Settings) -> None:
    """Look from now on, in a thread that ends with the process."""
    watch = RedisWatch(settings.redis_url)

    def go_on() -> None:
        while True:
            watch.look()
            time.sleep(LOOK_EVERY_S)

    threading.Thread(target=go_on, name="redis-watch", daemon=True).start()
