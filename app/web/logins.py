"""How often an address may try a token: guessing must not be cheap, and nobody who mistypes is locked out for long."""

from __future__ import annotations

from typing import Final

import redis

TRIES_A_MINUTE: Final = 10
_MINUTE_S: Final = 60


def may_try(client: redis.Redis, address: str) -> bool:
    """Count a try of this address, and tell whether it may be made. Raises `redis.RedisError`."""
    key = f"om:login-tries:{address}"
    pipe = client.pipeline(transaction=True)
    pipe.set(key, 0, ex=_MINUTE_S, nx=True)
    pipe.incr(key)
    return int(pipe.execute()[-1]) <= TRIES_A_MINUTE
