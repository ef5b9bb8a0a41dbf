"""Logins of BMCs that were set anew because the one before was refused: not again and again, but once a while.

A BMC that takes each new login and then refuses it would be given a new password every half minute, for ever.
"""

from __future__ import annotations

import redis

# Somebody who resets a BMC does it once; one that forgets its users within the hour is faulty, or managed by others.
LASTS_S = 3600


class Renewals:
    """Notes whose login was set anew lately. Every call may raise `redis.RedisError`."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def lately(self, machine_id: str) -> bool:
        """Whether a login of this machine was set anew within LASTS_S, and nobody asked for another one since."""
        return bool(self._redis.exists(_key(machine_id)))

    def note(self, machine_id: str) -> None:
        """One is being set anew now."""
        self._redis.set(_key(machine_id), 1, ex=LASTS_S)

    def forget(self, machine_id: str) -> None:
        """Another one may be set at once: a person says so."""
        self._redis.delete(_key(machine_id))


def _key(machine_id: str) -> str:
    return f"om:login-renewed:{machine_id}"
