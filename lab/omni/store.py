"""The stand-in's state: versioned resources with owners, phases and finalizers, and news of each change.

A resource that was stored is never modified but replaced, so it may be handed out and sent as it is. All of it
belongs to one thread.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import grpc

from protos.gen.cosi import state_pb2

RUNNING = "running"
TEARING_DOWN = "tearingDown"
_VERSION = re.compile(r"undefined|\d+")


class Refused(Exception):
    """What Omni answers instead of doing it."""

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class Place(NamedTuple):
    """Where the resources of one type are."""

    namespace: str
    type: str


Observer = Callable[[state_pb2.Event], None]


class Store:
    """All resources, by place and id."""

    def __init__(self) -> None:
        self._places: dict[Place, dict[str, state_pb2.Resource]] = {}
        self._observers: dict[Place, list[Observer]] = {}
        self._news: deque[tuple[Place, state_pb2.Event]] = deque()
        self._telling = False
        self.revision = 0

    def find(self, place: Place, resource_id: str) -> state_pb2.Resource | None:
        """The resource, or None."""
        return self._places.get(place, {}).get(resource_id)

    def get(self, place: Place, resource_id: str) -> state_pb2.Resource:
        """The resource; NOT_FOUND without it."""
        found = self.find(place, resource_id)
        if found is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"resource {_name(place, resource_id)} doesn't exist")
        return found

    def list(self, place: Place) -> list[state_pb2.Resource]:
        """All resources of a type."""
        return list(self._places.get(place, {}).values())

    def create(self, resource: state_pb2.Resource, owner: str = "") -> state_pb2.Resource:
        """Store a new resource as version 1."""
        place, resource_id = place_of(resource), resource.metadata.id
        _check(resource)
        if self.find(place, resource_id) is not None:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"resource {_name(place, resource_id)} already exists")
        if resource.metadata.owner not in ("", owner):
            raise Refused(grpc.StatusCode.UNKNOWN, "owner is already set")
        new = _copy(resource)
        new.metadata.owner = owner
        new.metadata.version = "1"
        new.metadata.created.GetCurrentTime()
        return self._put(state_pb2.CREATED, new)

    def update(
        self, resource: state_pb2.Resource, owner: str = "", expected_phase: str | None = None
    ) -> state_pb2.Resource:
        """Replace a resource by a copy that has its present version."""
        place = place_of(resource)
        _check(resource)
        _check_phase(expected_phase)
        old = self.get(place, resource.metadata.id)
        self._check_owner(old, owner)
        name = _name(place, resource.metadata.id)
        if resource.metadata.version != old.metadata.version:
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f"resource {name} update conflict")
        if expected_phase is not None and old.metadata.phase != expected_phase:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"resource {name} is not in phase {expected_phase}")
        new = _copy(resource)
        new.metadata.owner = old.metadata.owner
        new.metadata.created.CopyFrom(old.metadata.created)
        return self._replace(old, new)

    def teardown(self, place: Place, resource_id: str, owner: str = "") -> bool:
        """Put a resource into the phase tearingDown; True if it has no finalizers."""
        old = self.get(place, resource_id)
        self._check_owner(old, owner)
        if old.metadata.phase != TEARING_DOWN:
            new = _copy(old)
            new.metadata.phase = TEARING_DOWN
            self._replace(old, new)
        return not old.metadata.finalizers

    def destroy(self, place: Place, resource_id: str, owner: str = "") -> None:
        """Take a resource away that has no finalizers."""
        old = self.get(place, resource_id)
        self._check_owner(old, owner)
        if old.metadata.finalizers:
            words = f"resource {_name(place, resource_id)} has pending finalizers {list(old.metadata.finalizers)}"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, words)
        del self._places[place][resource_id]
        self._tell(place, state_pb2.DESTROYED, old)

    def observe(self, place: Place, observer: Observer) -> Callable[[], None]:
        """Have `observer` told of each change from now on, in order; the answer ends it."""
        observers = self._observers.setdefault(place, [])
        observers.append(observer)
        return lambda: observers.remove(observer)

    def drop(self, namespace: str) -> None:
        """Forget a namespace without a word, as a restart does with what is not persistent."""
        for place in [p for p in self._places if p.namespace == namespace]:
            del self._places[place]

    def _check_owner(self, old: state_pb2.Resource, owner: str) -> None:
        if old.metadata.owner != owner:
            name = _name(place_of(old), old.metadata.id)
            words = f'resource {name} is owned by "{old.metadata.owner}", but "{owner}" was expected'
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, words)

    def _replace(self, old: state_pb2.Resource, new: state_pb2.Resource) -> state_pb2.Resource:
        new.metadata.version = str(int(old.metadata.version) + 1)
        new.metadata.updated.GetCurrentTime()
        return self._put(state_pb2.UPDATED, new, old)

    def _put(
        self, event_type: state_pb2.EventType.ValueType, new: state_pb2.Resource, old: state_pb2.Resource | None = None
    ) -> state_pb2.Resource:
        place = place_of(new)
        self._places.setdefault(place, {})[new.metadata.id] = new
        self._tell(place, event_type, new, old)
        return new

    def _tell(
        self,
        place: Place,
        event_type: state_pb2.EventType.ValueType,
        resource: state_pb2.Resource,
        old: state_pb2.Resource | None = None,
    ) -> None:
        """Tell all observers. What an observer itself changes is told after, so that all see the same order."""
        self.revision += 1
        bookmark = self.revision.to_bytes(8, "big")
        self._news.append(
            (place, state_pb2.Event(event_type=event_type, resource=resource, old=old, bookmark=bookmark))
        )
        if self._telling:
            return
        self._telling = True
        try:
            while self._news:
                where, event = self._news.popleft()
                for observer in tuple(self._observers.get(where, ())):
                    observer(event)
        finally:
            self._telling = False


def place_of(resource: state_pb2.Resource) -> Place:
    """Where a resource belongs."""
    return Place(resource.metadata.namespace, resource.metadata.type)


def _check(resource: state_pb2.Resource) -> None:
    if not _VERSION.fullmatch(resource.metadata.version):
        raise Refused(grpc.StatusCode.UNKNOWN, "error parsing version")
    if not resource.HasField("spec"):
        raise Refused(grpc.StatusCode.UNKNOWN, "spec is missing")
    _check_phase(resource.metadata.phase)


def _check_phase(phase: str | None) -> None:
    if phase not in (None, RUNNING, TEARING_DOWN):
        raise Refused(grpc.StatusCode.UNKNOWN, f"unknown phase: {phase}")


def _copy(resource: state_pb2.Resource) -> state_pb2.Resource:
    new = state_pb2.Resource()
    new.CopyFrom(resource)
    return new


def _name(place: Place, resource_id: str) -> str:
    return f"{place.type}({place.namespace}/{resource_id})"
