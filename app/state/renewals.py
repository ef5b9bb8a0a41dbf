"""Logins of BMCs that were set anew because the one before was refused, and how often logins were refused lately.

A BMC that takes each new login and then refuses it would be given a new password every half minute, for ever. And one
that counts failures locks the right login out as well.
"""

from __future__ import annotations

import enum
from typing import Any

import redis

from app.state.connection import as_bytes
from app.state.logins import REFUSED
from app.state.mirror_keys import machine_key

# Somebody who resets a BMC does it once; one that forgets its users within the hour is faulty, or managed by others.
LASTS_S = 3600
# BMCs that lock out count the failures of a minute (iDRAC: three in 60 s).
REST_S = 65.0


class Renewed(enum.StrEnum):
    """What is known of a login that was set anew."""

    UNPROVED = "unproved"
    WORKED = "worked"


class Renewals:
    """Notes whose login was set anew lately, and was refused. Every call may raise `redis.RedisError`."""

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

    def refused(self, machine_id: str, times: int) -> None:
        """The BMC refused a login that was tried so many times."""
        pipe = self._redis.pipeline()
        pipe.incrby(_refusals(machine_id), times)
        pipe.pexpire(_refusals(machine_id), int(REST_S * 1000))
        pipe.execute()

    def may_be_refused(self, machine_id: str) -> None:
        """A person has a login tried again that was refused before: that is one try more."""
        if self._redis.hexists(machine_key(machine_id), REFUSED):
            self.refused(machine_id, 1)

    def refusals(self, machine_id: str) -> tuple[int, float]:
        """How many were noted within REST_S, and for how long they count still (s)."""
        pipe: Any = self._redis.pipeline()
        pipe.get(_refusals(machine_id))
        pipe.pttl(_refusals(machine_id))
        count, left_ms = pipe.execute()
        return int(count or 0), max(0, left_ms) / 1000


def _key(machine_id: str) -> str:
    return f"om:login-renewed:{machine_id}"


def _refusals(machine_id: str) -> str:
    return f"om:login-refusals:{machine_id}"
