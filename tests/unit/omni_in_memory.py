"""An Omni in memory for tests that open no socket: it keeps resources, counts calls, and can be away."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from app.machine.model import Phase
from app.omni.errors import AlreadyExists, NotFound, OmniUnavailable
from app.omni.kinds import Kind
from app.omni.resource import Draft, Resource, blank
from protos.gen.cosi import state_pb2

PROVIDER = "bare-metal"


class InMemoryOmni:
    """Has the methods of `app.omni.client.Omni` that tasks and looks use."""

    def __init__(self) -> None:
        self.stored: dict[tuple[Kind, str], Resource] = {}
        self.calls: Counter[str] = Counter()
        self.away = False

    def give(self, kind: Kind, machine_id: str, phase: Phase = Phase.RUNNING, **fields: Any) -> Resource:
        """Store a resource as the other side would."""

        def edit(draft: Draft) -> None:
            for name, value in fields.items():
                if isinstance(value, list):
                    getattr(draft.spec, name)[:] = value
                else:
                    setattr(draft.spec, name, value)

        resource = self._store(kind, machine_id, edit)
        if phase is Phase.TEARING_DOWN:
            self.teardown(kind, machine_id)
            resource = self.stored[kind, machine_id]
        return resource

    def get(self, kind: Kind, machine_id: str) -> Resource | None:
        """As the real one."""
        self._called("get")
        return self.stored.get((kind, machine_id))

    def create(self, kind: Kind, resource_id: str, spec: Message | None = None) -> Resource:
        """As the real one."""
        self._called("create")
        if (kind, resource_id) in self.stored:
            raise AlreadyExists("Create", f"{kind.value}/{resource_id}", "resource already exists")
        return self._store(kind, resource_id, lambda draft: draft.spec.CopyFrom(spec) if spec else None)

    def update(
        self,
        kind: Kind,
        machine_id: str,
        edit: Callable[[Draft], None],
        *,
        known: Resource | None = None,
        create: bool = False,
        absent: bool = False,
        expected_phase: Phase | None = Phase.RUNNING,
    ) -> Resource:
        """As the real one, without conflicts."""
        self._called("update")
        if (kind, machine_id) not in self.stored and not create:
            raise NotFound("Update", f"{kind.value}/{machine_id}", "there is no such resource")
        return self._store(kind, machine_id, edit, changed_only=True)

    def teardown(self, kind: Kind, machine_id: str) -> bool:
        """As the real one."""
        self._called("teardown")
        resource = self.stored.get((kind, machine_id))
        if resource is None:
            raise NotFound("Teardown", f"{kind.value}/{machine_id}", "there is no such resource")
        raw = _copy(resource.raw)
        raw.metadata.phase = Phase.TEARING_DOWN
        raw.metadata.version = str(resource.version + 1)
        self.stored[kind, machine_id] = Resource(kind, raw)
        return not resource.finalizers

    def remove(self, kind: Kind, machine_id: str) -> None:
        """As the real one."""
        self._called("remove")
        self.stored.pop((kind, machine_id), None)

    def add_finalizer(self, kind: Kind, machine_id: str, *, known: Resource | None = None) -> Resource:
        """As the real one."""
        return self.update(kind, machine_id, lambda d: d.finalizers.append(f"{PROVIDER}.MachineStatusController"))

    def remove_finalizers(self, kind: Kind, machine_id: str, *, known: Resource | None = None) -> Resource | None:
        """As the real one."""

        def edit(draft: Draft) -> None:
            draft.finalizers[:] = [f for f in draft.finalizers if not f.startswith(f"{PROVIDER}.")]

        return self.update(kind, machine_id, edit)

    def _store(
        self, kind: Kind, machine_id: str, edit: Callable[[Draft], None], *, changed_only: bool = False
    ) -> Resource:
        before = self.stored.get((kind, machine_id))
        draft = Draft(before or blank(kind, PROVIDER, machine_id))
        edit(draft)
        if before is not None and changed_only and not draft.changed():
            return before
        raw = draft.build()
        raw.metadata.version = str(before.version + 1 if before else 1)
        if before is None:
            raw.metadata.created.FromNanoseconds(time.time_ns())
        resource = Resource(kind, raw)
        self.stored[kind, machine_id] = resource
        return resource

    def _called(self, name: str) -> None:
        if self.away:
            raise OmniUnavailable(name, "omni", "connection refused")
        self.calls[name] += 1


def _copy(raw: state_pb2.Resource) -> state_pb2.Resource:
    copy = state_pb2.Resource()
    copy.CopyFrom(raw)
    return copy
