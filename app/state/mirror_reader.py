"""Reads the mirror: machines with what is known of them, single resources, and whether all of it may be trusted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import redis

from app.machine.model import BmcConfiguration, Machine, PowerState
from app.omni.kinds import BOOT_KINDS, PICTURE_KINDS, Kind
from app.omni.resource import Resource
from app.omni.resources import attribute, to_model
from app.state import mirror_scripts
from app.state.agents import agent_key, gone_key, tunnel_of
from app.state.batches import batches
from app.state.bmc_notes import noted
from app.state.clock import SETTLES_MS, STEPPED, ClockWatch, note_step
from app.state.connection import as_bytes
from app.state.facts import Notes, facts, refused_of
from app.state.logins import REFUSED, RefusedLogins
from app.state.mirror_keys import (
    AUTHORITY,
    COMPLETE,
    JOIN_CONFIG,
    MACHINES,
    QUARANTINE,
    TRACKING,
    WATCHED,
    machine_key,
)
from app.state.secrets import SealBroken, Sealer
from app.state.waiting import TURN, turn_of
from app.tls.authority import Authority

_BOOT_FIELDS = (Kind.BMC_CONFIGURATION.value, *(kind.value for kind in BOOT_KINDS))
SEALED_KINDS = frozenset({Kind.BMC_CONFIG, Kind.BMC_CONFIGURATION})
_STEPPED = b"Redis' clock was put forward or back; an operation from before may still run"


class MirrorUnreadable(Exception):
    """The mirror was sealed with another key than ours: what it holds must not be taken for missing."""


class MirrorReader:
    """What the mirror holds. Reading a machine may raise MirrorUnreadable."""

    def __init__(self, client: redis.Redis, sealer: Sealer) -> None:
        self._redis = client
        self._sealer = sealer
        self._logins = RefusedLogins(client, sealer)
        self._read = client.register_script(mirror_scripts.READ)
        self._clock = ClockWatch()

    def complete(self) -> bool:
        """Whether the mirror holds everything that Omni has, as far as a watcher knows that lately looked."""
        return self._redis.exists(COMPLETE, WATCHED) == 2

    def was_complete(self) -> bool:
        """Whether it was complete when a watcher last looked, however long ago."""
        return bool(self._redis.exists(COMPLETE))

    def settling(self) -> str:
        """Why no task may begin now, or ''."""
        return _settling(*self._redis.mget(COMPLETE, WATCHED, QUARANTINE))

    def machine_ids(self) -> list[str]:
        """Every machine of which there is a resource, sorted."""
        return sorted(as_bytes(m).decode() for m in self._redis.smembers(MACHINES))

    def load(self, machine_id: str) -> Machine:
        """The picture of a machine now, by Redis' clock."""
        return self.load_many([machine_id])[0]

    def load_many(self, machine_ids: Sequence[str]) -> list[Machine]:
        """The pictures of these machines, in one round trip."""
        return [machine for machine, _ in self.load_noted(machine_ids)]

    def load_each(self, machine_ids: Sequence[str]) -> Iterator[Machine]:
        """The pictures of these machines, of which only some are in memory at a time."""
        for batch in batches(machine_ids):
            yield from self.load_many(batch)

    def load_noted(self, machine_ids: Sequence[str]) -> list[tuple[Machine, Notes]]:
        """The pictures with the notes from which their facts come."""
        return self._load_noted(machine_ids, self._redis.pipeline(transaction=False))[0]

    def _load_noted(self, machine_ids: Sequence[str], pipe: Any) -> tuple[list[tuple[Machine, Notes]], list[Any]]:
        """The pictures, and the answers to what stood in the pipeline before, in the same round trip."""
        others = len(pipe)
        pipe.time()
        pipe.mget(TRACKING, STEPPED)
        for machine_id in machine_ids:
            pipe.hgetall(machine_key(machine_id))
            pipe.hgetall(agent_key(machine_id))
            pipe.get(gone_key(machine_id))
        asked_s = time.monotonic()
        answers = pipe.execute()
        (seconds, micros), (tracking, stepped), *rows = answers[others:]
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        stepped_ms = int(stepped or 0)
        if self._clock.stepped(now_ms, asked_s, time.monotonic(), stepped_ms):
            note_step(self._redis, stepped_ms := now_ms)
            self._redis.set(QUARANTINE, _STEPPED, px=SETTLES_MS, nx=True)
        since_ms = int(tracking or 0), stepped_ms
        pictures = []
        for index, machine_id in enumerate(machine_ids):
            fields, tunnel, gone = rows[3 * index : 3 * index + 3]
            notes = _notes(fields, tunnel, int(gone or 0), *since_ms)
            pictures.append((self._picture(machine_id, fields, notes, now_ms), notes))
        return pictures, answers[:others]

    def resource(self, kind: Kind, machine_id: str) -> Resource | None:
        """One resource of a machine."""
        data = self._redis.hget(machine_key(machine_id), kind.value)
        return None if data is None else self._open(kind, machine_id, as_bytes(data))

    def resources(self, kinds: Sequence[Kind], machine_id: str) -> dict[Kind, Resource]:
        """Those of these resources of a machine that there are."""
        if not kinds:
            return {}
        rows = self._redis.hmget(machine_key(machine_id), [kind.value for kind in kinds])
        return {k: self._open(k, machine_id, as_bytes(d)) for k, d in zip(kinds, rows, strict=True) if d is not None}

    def load_to_act(self, machine_id: str) -> tuple[Machine, str]:
        """The picture of a machine, and why no task may act on it now, or ''."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.mget(COMPLETE, WATCHED, QUARANTINE)
        ((machine, notes),), (marks,) = self._load_noted([machine_id], pipe)
        stepped_ago_ms = machine.now.timestamp() * 1000 - notes.stepped_ms
        return machine, _settling(*marks) or (_STEPPED.decode() if stepped_ago_ms < SETTLES_MS else "")

    def load_to_boot(self, machine_id: str) -> tuple[Machine, bool]:
        """As much of a machine's picture as its boot depends on, and whether the mirror is complete.

        Both are read in one step: a Redis that was emptied reads as not complete, never as one that knows no machines.
        Of a BMC configuration it counts that there is one, so its login is not opened.
        """
        keys = [machine_key(machine_id), COMPLETE, WATCHED]
        (wiped, wish, status), configured, marks = self._read(keys=keys, args=_BOOT_FIELDS)
        row = wiped, wish, None if wiped else status
        parts = self._parts(machine_id, zip(BOOT_KINDS, row, strict=True))
        bmc = BmcConfiguration() if configured else None
        return Machine(id=machine_id, now=datetime.now(UTC), bmc_configuration=bmc, **parts), marks == 2

    def join_config(self) -> str | None:
        """The machine configuration with which machines join Omni; None where it is not known."""
        return self._sealed_text(JOIN_CONFIG)

    def authority(self) -> Authority | None:
        """Our own certificate authority; None where it is not known."""
        text = self._sealed_text(AUTHORITY)
        return Authority(**json.loads(text)) if text else None

    def ca(self) -> str | None:
        """The certificate of our own authority, PEM; None where it is not known."""
        authority = self.authority()
        return authority.certificate if authority else None

    def _sealed_text(self, key: str) -> str | None:
        data = self._redis.get(key)
        if data is None:
            return None
        try:
            return self._sealer.open(as_bytes(data), key).decode()
        except SealBroken:
            return None

    def _open(self, kind: Kind, machine_id: str, data: bytes) -> Resource:
        if kind in SEALED_KINDS:
            try:
                data = self._sealer.open(data, sealed_as(kind, machine_id))
            except SealBroken:
                raise MirrorUnreadable(
                    "the BMC logins in Redis are sealed with another key: give all processes the same service account "
                    "key, or without one the same state directory"
                ) from None
        return Resource.load(kind, data)

    def _picture(self, machine_id: str, fields: Mapping[bytes, bytes], notes: Notes, now_ms: int) -> Machine:
        parts = self._parts(machine_id, ((kind, fields.get(kind.value.encode())) for kind in PICTURE_KINDS))
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        refused = self._login_refused(machine_id, fields, parts.get(attribute(Kind.BMC_CONFIGURATION)))
        return Machine(id=machine_id, now=now, facts=facts(notes, now_ms, login_refused=refused), **parts)

    def _login_refused(self, machine_id: str, fields: Mapping[bytes, bytes], login: BmcConfiguration | None) -> bool:
        note = fields.get(REFUSED.encode())
        return login is not None and self._logins.tells_of(REFUSED, note, machine_id, login)

    def _parts(self, machine_id: str, found: Iterable[tuple[Kind, bytes | None]]) -> dict[str, Any]:
        """Those parts of a picture that there are, by the fields of `Machine`."""
        there = ((kind, data) for kind, data in found if data is not None)
        return {attribute(kind): to_model(self._open(kind, machine_id, data)) for kind, data in there}


def _settling(complete: object, watched: object, quarantine: object) -> str:
    """Why no task may begin, by the three marks."""
    if complete is None or watched is None:
        return "the mirror of Omni is not complete yet"
    if quarantine == _STEPPED:
        return _STEPPED.decode()
    if quarantine is not None:
        return "the mirror was just rebuilt; an operation from before may still run"
    return ""


def sealed_as(kind: Kind, machine_id: str) -> str:
    """What a sealed resource is tied to, so that none can stand in the place of another."""
    return f"{kind.value}/{machine_id}"


def _notes(
    fields: Mapping[bytes, bytes], tunnel: Mapping[bytes, bytes], gone_ms: int, tracking_ms: int, stepped_ms: int
) -> Notes:
    (power, power_ms), (said, said_ms) = _reading(fields.get(b"f:power")), _reading(fields.get(b"f:power-said"))
    found, trouble = noted(fields)
    return Notes(
        power=power,
        power_ms=power_ms,
        power_said=said,
        power_said_ms=said_ms,
        acted_ms=int(fields.get(b"f:acted", 0)),
        tunnel=tunnel_of(tunnel),
        hello_ms=int(fields.get(b"f:hello", 0)),
        gone_ms=gone_ms,
        booted_ms=int(fields.get(b"f:booted", 0)),
        tracking_ms=tracking_ms,
        mac=fields.get(b"f:mac", b"").decode("utf-8", "replace"),
        serial=fields.get(b"f:serial", b"").decode("utf-8", "replace"),
        stepped_ms=stepped_ms,
        bmc_found=found,
        bmc_trouble=trouble,
        refused_tunnel=refused_of(fields.get(b"f:refused-tunnel", b"").decode("utf-8", "replace")),
        power_turn=turn_of(fields.get(TURN.encode())),
    )


def _reading(note: bytes | None) -> tuple[PowerState | None, int]:
    """A note of the power, and when it was read."""
    state, _, at_ms = (note or b"").decode().partition("@")
    return (PowerState[state], int(at_ms)) if state else (None, 0)
