"""Connections to Redis, made alike by every process."""

from __future__ import annotations

import select
import sys
from typing import Any

import redis
import redis.asyncio
from redis.connection import DefaultParser

from config.settings import Settings

# A healthy Redis answers in milliseconds; five seconds ride out a rewrite of its append-only file.
SOCKET_TIMEOUT_S = 5.0
# A pool this large never makes 100 greenlets or 1,000 threads wait noticeably: each holds a connection for a moment.
POOL_SIZE = 64
# Longer than one command can take, so that a thread waits for a connection rather than fails.
POOL_WAIT_S = 20.0


def _system_poll() -> Any:
    """The system's own poll: under greenlets `select.poll` is one that runs the event loop for each look."""
    if "gevent.monkey" in sys.modules:
        from gevent.monkey import get_original  # noqa: PLC0415  # only where it is in use anyway

        return get_original("select", "poll")
    return select.poll


_POLL = _system_poll()


class QuickParser(DefaultParser):  # type: ignore[misc, valid-type]  # it is chosen at run time
    """Looks whether a connection is still good, as is done before each command, without leaving the greenlet."""

    def can_read(self, timeout: float = 0) -> bool:
        """Whether something is to be read that nobody asked for. Raises where the connection is closed."""
        socket, reader = self._sock, self._reader
        buffered_by_tls = hasattr(socket, "pending")
        if timeout == 0 and socket is not None and reader is not None and not buffered_by_tls:
            poll = _POLL()
            poll.register(socket.fileno(), select.POLLIN)
            if not reader.has_data() and not poll.poll(0):
                return False
        return bool(super().can_read(timeout))


def connect(settings: Settings) -> redis.Redis:
    """A client for threads and greenlets. Commands raise `redis.RedisError`; nothing is sent before the first one."""
    pool = redis.BlockingConnectionPool.from_url(
        settings.redis_url, max_connections=POOL_SIZE, timeout=POOL_WAIT_S, parser_class=QuickParser, **_options()
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
