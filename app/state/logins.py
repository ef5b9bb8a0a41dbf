"""Logins that a BMC took or refused: BMCs lock out, so a refused one waits until it changes or a person asks.

The notes stand in the machine's hash: digests of logins, sealed, so that nobody can try passwords against them.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import redis

from app.machine.model import BmcConfiguration
from app.state.bmc_notes import NEXT
from app.state.clock import cut_lifetimes
from app.state.connection import as_bytes
from app.state.mirror_keys import machine_key
from app.state.secrets import SealBroken, Sealer
from app.state.wake import Alarms

REFUSED, WORKED = "f:login-refused", "f:login-worked"
# BMCs that lock out count the failures of a minute (iDRAC: three in 60 s).
REST_S = 65.0
_REST_MS = int(REST_S * 1000)
# Whoever comes with the login within this time has Redis told of the refusal. Where nobody came, one refused login more
# harms nothing after it, and locks that BMCs put on are over.
UNTOLD_FOR_S = 600.0


@dataclass(frozen=True, slots=True)
class _Untold:
    """A refusal that Redis may not have. worked: the note of the login that worked which stood in Redis then."""

    note: bytes
    worked: bytes | None
    at_s: float


class RefusedLogins:
    """Notes which login a machine's BMC refused. Calls that ask or tell Redis may raise `redis.RedisError`."""

    def __init__(self, client: redis.Redis, sealer: Sealer) -> None:
        self._redis = client
        self._sealer = sealer
        self._alarms = Alarms(client)
        self._untold: dict[str, _Untold] = {}

    def login_refused(self, machine_id: str, configuration: BmcConfiguration) -> bool:
        """Whether the BMC refused exactly this login, and nobody asked for another try since."""
        row: Any = self._redis.hmget(machine_key(machine_id), [REFUSED, WORKED])
        note, worked = (None if value is None else as_bytes(value) for value in row)
        return self.refused(machine_id, note, configuration, worked)

    def refusal_told(self, machine_id: str, place: str, times: int) -> None:
        """Redis has the note of a refused login; the watcher looks at the machine, for another login may be due.

        place: of the BMC that refused it, so many times in a row.
        """
        self._untold.pop(machine_id, None)
        self._count(times, _refusals(place))
        self._alarms.wake(machine_id)

    def refusals_unbelieved(self, place: str, times: int) -> None:
        """The BMC at this place has refused a login so often in a row, and then the session was lost."""
        self._count(times, _refusals(place), unbelieved_key(place))

    def refusals_over(self, place: str) -> None:
        """It has taken its login since, so what was not believed was none."""
        self._redis.delete(unbelieved_key(place))

    def _count(self, times: int, *keys: str) -> None:
        if not times:  # nothing was sent, and the rest is not to be renewed
            return
        pipe = self._redis.pipeline()
        for key in keys:
            pipe.incrby(key, times)
            pipe.pexpire(key, _REST_MS)
        pipe.execute()

    def refusals(self, place: str) -> tuple[int, float]:
        """How many logins the BMC at this place has refused lately, and for how long they count still (s)."""
        cut_lifetimes(self._redis, {_refusals(place): _REST_MS, unbelieved_key(place): _REST_MS})
        pipe: Any = self._redis.pipeline()
        pipe.get(_refusals(place))
        pipe.pttl(_refusals(place))
        count, left_ms = pipe.execute()
        return int(count or 0), max(0, left_ms) / 1000

    def refusal_not_told(self, machine_id: str, note: bytes, worked: bytes | None) -> None:
        """Redis may not have the note of a refused login: it counts in this process until it is told, or for minutes.

        worked: the note of the login that worked, as it stood in Redis at the refusal.
        """
        self._untold[machine_id] = _Untold(note, worked, time.monotonic())

    def refused(
        self, machine_id: str, note: bytes | None, configuration: BmcConfiguration, worked: bytes | None = None
    ) -> bool:
        """Whether exactly this login was refused, by the note in Redis or by what Redis could not be told.

        note, worked: which login the BMC refused, and which one it took, by Redis.
        """
        if self.tells_of(REFUSED, note, machine_id, configuration):
            self._untold.pop(machine_id, None)
            return True
        untold = self._untold.get(machine_id)
        if untold is None or not self.tells_of(REFUSED, untold.note, machine_id, configuration):
            return False
        has_worked = worked != untold.worked and self.tells_of(WORKED, worked, machine_id, configuration)
        if has_worked or time.monotonic() - untold.at_s > UNTOLD_FOR_S:
            self._untold.pop(machine_id, None)
            return False
        return True

    def forget_refused(self, machine_id: str) -> None:
        """The login may be tried again, and at once: a person says so."""
        self._untold.pop(machine_id, None)
        self._redis.hdel(machine_key(machine_id), REFUSED, NEXT)

    def note_of(self, field: str, machine_id: str, configuration: BmcConfiguration) -> bytes:
        """The note of this login for a field: REFUSED or WORKED."""
        return self._sealer.seal(_digest(configuration), _place(field, machine_id))

    def tells_of(self, field: str, note: bytes | None, machine_id: str, configuration: BmcConfiguration) -> bool:
        """Whether the note that stands in this field is of exactly this login."""
        if note is None:
            return False
        try:
            return self._sealer.open(note, _place(field, machine_id)) == _digest(configuration)
        except SealBroken:
            return False


def _place(field: str, machine_id: str) -> str:
    return f"{field.removeprefix('f:')}/{machine_id}"


def unbelieved_key(place: str) -> str:
    """The key of the count of logins that the BMC at a place refused in sessions that were then lost."""
    return f"om:login-unbelieved:{place}"


def _refusals(place: str) -> str:
    return f"om:login-refusals:{place}"


def _digest(configuration: BmcConfiguration) -> bytes:
    ipmi = configuration.ipmi
    login = [ipmi.address, ipmi.port, ipmi.username, ipmi.password] if ipmi else []
    return hashlib.sha256(json.dumps([login, configuration.api_address or ""]).encode()).digest()
