"""Connections to Redis, made alike by every process."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio

from config.settings import Settings

# A healthy Redis answers in milliseconds; five seconds ride out a rewrite of its append-only file.
SOCKET_TIMEOUT_S = 5.0
# A pool this large never makes 100 greenlets or 1,000 threads wait noticeably: each holds a connection for a moment.
POOL_SIZE = 64
# Longer than one command can take, so that a thread waits for a connection rather than fails.
POOL_WAIT_S = 20.0


def connect(settings: Settings) -> redis.Redis:
    """A client for threads and greenlets. Commands raise `redis.RedisError`; nothing is sent before the first one."""
    pool = redis.BlockingConnectionPool.from_url(
        settings.redis_url, max_connections=POOL_SIZE, timeout=POOL_WAIT_S, **_options()
    )
    return redis.Redis(connection_pool=pool)


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """A client for the gateway's event loop."""
    client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(settings.redis_url, **_options())
    return client


def _options() -> dict[str, Any]:
    return {"socket_timeout": SOCKET_TIMEOUT_S, "socket_connect_timeout": SOCKET_TIMEOUT_S}


def as_bytes(value: object) -> bytes:
    """A value of Redis as the bytes that it is: the client's types allow for decoded text, which we never ask for."""
    if not isinstance(value, bytes):
        raise TypeError(f"Redis answered {type(value).__name__} instead of bytes")
    return value


def as_fields(value: object) -> dict[bytes, bytes]:
    """A hash of Redis."""
    if not isinstance(value, dict):
        raise TypeError(f"Redis answered {type(value).__name__} instead of a hash")
    return value


def now_ms(client: redis.Redis) -> int:
    """Redis' clock in milliseconds since 1970."""
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
