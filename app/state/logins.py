"""Logins that a BMC refused: BMCs lock out, so a refused login is not tried again until it changes or a person asks.

The note stands in the machine's hash: a digest of the login, sealed, so that nobody can try passwords against it.
"""

from __future__ import annotations

import hashlib
import json

import redis

from app.machine.model import BmcConfiguration
from app.state.connection import as_bytes
from app.state.mirror_keys import machine_key
from app.state.secrets import SealBroken, Sealer

_FIELD = "f:login-refused"


class RefusedLogins:
    """Notes which login a machine's BMC refused. Every call may raise `redis.RedisError`."""

    def __init__(self, client: redis.Redis, sealer: Sealer) -> None:
        self._redis = client
        self._sealer = sealer

    def login_refused(self, machine_id: str, configuration: BmcConfiguration) -> bool:
        """Whether the BMC refused exactly this login, and nobody asked for another try since."""
        note = self._redis.hget(machine_key(machine_id), _FIELD)
        if note is None:
            return False
        try:
            return self._sealer.open(as_bytes(note), _place(machine_id)) == _digest(configuration)
        except SealBroken:
            return False

    def note_refused(self, machine_id: str, configuration: BmcConfiguration) -> None:
        """The BMC refused this login."""
        note = self._sealer.seal(_digest(configuration), _place(machine_id))
        self._redis.hset(machine_key(machine_id), _FIELD, note)

    def forget_refused(self, machine_id: str) -> None:
        """The login may be tried again: a person says so."""
        self._redis.hdel(machine_key(machine_id), _FIELD)


def _place(machine_id: str) -> str:
    return f"login-refused/{machine_id}"


def _digest(configuration: BmcConfiguration) -> bytes:
    ipmi = configuration.ipmi
    login = [ipmi.address, ipmi.port, ipmi.username, ipmi.password] if ipmi else []
    return hashlib.sha256(json.dumps([login, configuration.api_address or ""]).encode()).digest()
