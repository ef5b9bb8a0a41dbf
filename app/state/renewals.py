"""Logins of BMCs that were set anew because the one before was refused: not again and again, but once a while.

A BMC that takes each new login and then refuses it would be given a new password every half minute, for ever.
"""

from __future__ import annotations

import enum

import redis

from app.state.connection import as_bytes

# Somebody who resets a BMC does it once; one that forgets its users within the hour is faulty, or managed by others.
LASTS_S = 3600


class Renewed(enum.StrEnum):
    """What is known of a login that was set anew."""

    UNPROVED = "unproved"
    WORKED = "worked"


class Renewals:
    """Notes whose login was set anew lately. Every call may raise `redis.RedisError`."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def lately(self, machine_id: str) -> Renewed | None:
        """The login of this machine that was set anew within LASTS_S, if nobody asked for another one since."""
        note = self._redis.get(_key(machine_id))
        if note is None:
            return None
        return Renewed.UNPROVED if as_bytes(note) == Renewed.UNPROVED.value.encode() else Renewed.WORKED

    def note(self, machine_id: str) -> None:
        """One was set anew and stored."""
        self._redis.set(_key(machine_id), Renewed.UNPROVED.value, ex=LASTS_S)

    def worked(self, machine_id: str) -> None:
        """The BMC takes it, if there is one."""
        self._redis.set(_key(machine_id), Renewed.WORKED.value, xx=True, keepttl=True)

    def forget(self, machine_id: str) -> None:
        """Another one may be set at once: a person says so."""
        self._redis.delete(_key(machine_id))


def _key(machine_id: str) -> str:
    return f"om:login-renewed:{machine_id}"
