"""The mirror: Omni's resources by machine, as the watcher sees them and the tasks write them.

One hash `om:m:UUID` per machine holds the resources (field = kind) and the notes (fields `f:…`). A resource is only
replaced by a newer copy of itself. The *complete* mark is written last; where it is missing, no machine may be
called unknown and nothing may be decided. Kinds that hold a BMC login are sealed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from secrets import token_hex
from typing import Any

import redis

from app.omni.kinds import PICTURE_KINDS, Kind
from app.omni.resource import Resource
from app.state import mirror_scripts
from app.state.batches import batches
from app.state.connection import as_bytes
from app.state.mirror_keys import (
    AUTHORITY,
    BUILDING,
    COMPLETE,
    JOIN_CONFIG,
    MACHINES,
    QUARANTINE,
    WATCHED,
    WATCHED_MS,
    machine_key,
)
from app.state.mirror_reader import SEALED_KINDS, MirrorReader, sealed_as
from app.state.secrets import Sealer
from app.state.wake import ALARMS
from app.tls.authority import Authority

# The notes of a machine of which nothing is left are of no use after this.
_EMPTY_S = 3_600


class Mirror(MirrorReader):
    """Reads and writes the mirror."""

    def __init__(self, client: redis.Redis, sealer: Sealer) -> None:
        super().__init__(client, sealer)
        self._put = client.register_script(mirror_scripts.PUT)
        self._put_and_wake = client.register_script(mirror_scripts.PUT_AND_WAKE)
        self._remove = client.register_script(mirror_scripts.REMOVE)
        self._complete = client.register_script(mirror_scripts.COMPLETE)

    def put(self, resource: Resource, *, force: bool = False) -> bool:
        """Store a resource, unless the one that stands is as new. `force` stores it in any case.

        Returns:
            False where exactly this copy stands already. An older copy is not stored but may be news all the same:
            whoever stored the newer one may have decided before.
        """
        return bool(self._put_on(self._redis, resource, force=force))

    def put_and_wake(self, resource: Resource) -> None:
        """Store a resource that Omni told of; where it is news, the watcher is to look at the machine now."""
        machine, machines, *words = self._put_words(resource, force=False)
        self._put_and_wake(keys=[machine, machines, ALARMS], args=words)

    def put_all(self, resources: Iterable[Resource]) -> None:
        """Store resources that were just read from Omni, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for resource in resources:
            pipe.eval(mirror_scripts.PUT, 2, *self._put_words(resource, force=False))
        if len(pipe):
            pipe.execute()

    def remove(self, resource: Resource) -> bool:
        """Note that a resource is destroyed: late news of it change nothing any more."""
        return self._take_out(resource.kind, resource.id, _created(resource))

    def forget(self, kind: Kind, machine_id: str) -> bool:
        """Take a resource out that Omni does not list."""
        return self._take_out(kind, machine_id, "")

    def replace(self, kind: Kind, resources: Iterable[Resource]) -> set[str]:
        """Make one kind as listed by Omni. The answer is all machines that this kind was or is known of."""
        listed = {r.id: r for r in resources}
        known = self.holders(kind)
        for batch in batches(listed.values()):
            pipe = self._redis.pipeline(transaction=False)
            for resource in batch:
                self._put_on(pipe, resource, force=True)
            pipe.execute()
        for machine_id in known - listed.keys():
            self.forget(kind, machine_id)
        return known | listed.keys()

    def holders(self, kind: Kind) -> set[str]:
        """The machines that have a resource of this kind."""
        holders: set[str] = set()
        for batch in batches(self.machine_ids()):
            pipe = self._redis.pipeline(transaction=False)
            for machine_id in batch:
                pipe.hexists(machine_key(machine_id), kind.value)
            holders.update(m for m, there in zip(batch, pipe.execute(), strict=True) if there)
        return holders

    def put_join_config(self, text: str) -> None:
        """Store the machine configuration, sealed."""
        self._put_sealed_text(JOIN_CONFIG, text)

    def put_ca(self, authority: Authority) -> None:
        """Store our own certificate authority, its certificate and its key in one sealed box."""
        self._put_sealed_text(AUTHORITY, json.dumps(asdict(authority)))

    def mark_complete(self, build: str, quarantine_ms: int) -> bool:
        """The mirror is whole, unless Redis was emptied since `begin_build` named this build: False.

        No task begins for `quarantine_ms` (0: at once).
        """
        return bool(
            self._complete(keys=[BUILDING, QUARANTINE, COMPLETE, WATCHED], args=[build, quarantine_ms, WATCHED_MS])
        )

    def keep_watched(self) -> None:
        """The watcher follows Omni, or tries to: without this the mirror counts as incomplete after a minute."""
        self._redis.set(WATCHED, 1, px=WATCHED_MS)

    def invalidate(self) -> None:
        """Nobody knows how old the mirror is: nothing is decided from it until it is filled anew."""
        self._redis.delete(COMPLETE, BUILDING)

    def begin_build(self) -> str:
        """The mirror is about to be filled anew; the answer names this attempt."""
        name = token_hex(8)
        self._redis.set(BUILDING, name)
        return name

    def being_built(self, name: str) -> bool:
        """Whether nothing was lost since `begin_build` gave this name."""
        stored = self._redis.get(BUILDING)
        return stored is not None and as_bytes(stored).decode() == name

    def _put_on(self, client: Any, resource: Resource, *, force: bool) -> Any:
        words = self._put_words(resource, force=force)
        return self._put(keys=words[:2], args=words[2:], client=client)

    def _put_words(self, resource: Resource, *, force: bool) -> tuple[str | bytes, ...]:
        """The two keys and the arguments of the script that stores a resource."""
        data = resource.dump()
        if resource.kind in SEALED_KINDS:
            data = self._sealer.seal(data, sealed_as(resource.kind, resource.id))
        order = f"{_created(resource)}{resource.version:020d}"
        forced = "force" if force else ""
        return machine_key(resource.id), MACHINES, resource.kind.value, order, data, forced, resource.id

    def _take_out(self, kind: Kind, machine_id: str, created: str) -> bool:
        args = [kind.value, created, _EMPTY_S, machine_id, *(k.value for k in PICTURE_KINDS)]
        return bool(self._remove(keys=[machine_key(machine_id), MACHINES], args=args))

    def _put_sealed_text(self, key: str, text: str) -> None:
        self._redis.set(key, self._sealer.seal(text.encode(), key))


def _created(resource: Resource) -> str:
    return f"{resource.created_ns:020d}."
