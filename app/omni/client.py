"""Omni's resources: read, written and watched.

    omni = Omni("http://127.0.0.1:8090", "bare-metal")
    status = omni.get(Kind.WIPE_STATUS, machine_id)

    def wiped(draft: Draft) -> None:
        draft.spec.initial_wipe_done = True

    omni.update(Kind.WIPE_STATUS, machine_id, wiped, known=status, create=True)

Every call has a deadline and raises an `OmniError` of app/omni/errors.py. An edit may run several times, each time
on a newer copy, so it must do nothing but edit. One client serves any number of threads and greenlets; it starts
none, and may only be used in the process that made it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from app.machine.model import Phase
from app.omni.channel import Signer, unsigned
from app.omni.connection import Connection
from app.omni.errors import AlreadyExists, Conflict, NotFound, OmniError, PermissionRefused
from app.omni.kinds import Kind, finalizer, is_finalizer_of
from app.omni.resource import Draft, Resource, blank
from app.omni.watch import Watch
from protos.gen.cosi import state_pb2

# One call takes Omni milliseconds; a task that waits longer than this had better be tried again.
CALL_TIMEOUT_S = 10.0
# A list of some thousand resources comes as as many messages.
LIST_TIMEOUT_S = 60.0
# Six controllers of the Go provider at most write one resource at a time; each try but the last loses to one.
UPDATE_TRIES = 8
# Two that collide once should not collide again in step.
CONFLICT_PAUSE_S = 0.05

Edit = Callable[[Draft], None]


class Omni:
    """One provider's view of Omni."""

    def __init__(
        self,
        endpoint: str,
        provider_id: str,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        signer: Signer | None = None,
        skip_verify: bool = False,
        key_ends_s: float | None = None,
    ) -> None:
        self.provider_id = provider_id
        self._timeout_s = timeout_s
        self._sign = signer or unsigned
        self._connection = Connection(endpoint, skip_verify=skip_verify, key_ends_s=key_ends_s)

    def close(self) -> None:
        """End all calls and watches."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    def get(self, kind: Kind, resource_id: str) -> Resource | None:
        """The resource, or None."""
        try:
            response = self._call("Get", kind, resource_id, state_pb2.GetRequest(**self._place(kind), id=resource_id))
        except NotFound:
            return None
        return Resource(kind, response.resource)

    def list(self, kind: Kind) -> list[Resource]:
        """All resources of a kind that are this provider's."""
        request = state_pb2.ListRequest(**self._place(kind), options=state_pb2.ListOptions())
        timeout_s = max(LIST_TIMEOUT_S, self._timeout_s)
        try:
            return self._connection.send(
                lambda stub: [
                    Resource(kind, response.resource)
                    for response in stub.List(request, timeout=timeout_s, metadata=self._metadata("List"))
                ]
            )
        except grpc.RpcError as error:
            raise self._connection.error("List", error, kind.value) from None

    def watch(self, kind: Kind) -> Watch:
        """A watch of all resources of a kind, beginning with those that there are."""
        options = state_pb2.WatchOptions(bootstrap_contents=True, bootstrap_bookmark=True, aggregated=True)
        request = state_pb2.WatchRequest(**self._place(kind), options=options, api_version=1)
        return Watch(
            kind,
            lambda: self._connection.open_stream(lambda stub: stub.Watch(request, metadata=self._metadata("Watch"))),
            self._connection.error,
        )

    # Writing

    def create(
        self,
        kind: Kind,
        resource_id: str,
        spec: Message | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        finalizers: Iterable[str] = (),
    ) -> Resource:
        """Create a resource with the kind's own owner. Raises AlreadyExists."""
        draft = Draft(blank(kind, self.provider_id, resource_id))
        if spec is not None:
            draft.spec.CopyFrom(spec)
        draft.labels.update(labels or {})
        draft.annotations.update(annotations or {})
        draft.finalizers.extend(finalizers)
        return self._create(kind, draft)

    def update(
        self,
        kind: Kind,
        resource_id: str,
        edit: Edit,
        *,
        known: Resource | None = None,
        create: bool = False,
        absent: bool = False,
        expected_phase: Phase | None = Phase.RUNNING,
    ) -> Resource:
        """Apply `edit` to the resource and store it; the answer is what is stored.

        known: the copy to begin with, which may be old; without one the resource is read first.
        create: create it if there is none; else that raises NotFound.
        absent: with `create`, there is none as far as is known: creating it is tried before reading it.
        expected_phase: raise PhaseConflict if the resource is in another; None for any.
        """
        current = known if known or (create and absent) else self.get(kind, resource_id)
        failure: OmniError = NotFound("Update", self._subject(kind, resource_id), "there is no such resource")
        for attempt in range(UPDATE_TRIES):
            if attempt:
                time.sleep(random.uniform(0, CONFLICT_PAUSE_S * attempt))  # noqa: S311 - no secret
                current = self._reread(kind, resource_id, current, failure)
            if current is None and not create:
                raise failure
            draft = Draft(current or blank(kind, self.provider_id, resource_id))
            edit(draft)
            try:
                if current is None:
                    return self._create(kind, draft)
                return self._update(kind, draft, expected_phase) if draft.changed() else current
            except (Conflict, AlreadyExists, NotFound, PermissionRefused) as error:
                failure = error
        raise failure

    def teardown(self, kind: Kind, resource_id: str) -> bool:
        """Mark a resource as tearing down. True: nobody holds a finalizer on it."""
        options = state_pb2.TeardownOptions(owner=kind.owner(self.provider_id))
        request = state_pb2.TeardownRequest(**self._place(kind), id=resource_id, options=options)
        return bool(self._call("Teardown", kind, resource_id, request).destroy_ready)

    def destroy(self, kind: Kind, resource_id: str) -> None:
        """Destroy a resource. Raises PendingFinalizers while somebody holds one on it."""
        options = state_pb2.DestroyOptions(owner=kind.owner(self.provider_id))
        self._call(
            "Destroy", kind, resource_id, state_pb2.DestroyRequest(**self._place(kind), id=resource_id, options=options)
        )

    def remove(self, kind: Kind, resource_id: str) -> None:
        """Tear down and destroy a resource of ours, taking our own finalizers off. A missing one is fine."""
        try:
            if not self.teardown(kind, resource_id):
                self.remove_finalizers(kind, resource_id)
            self.destroy(kind, resource_id)
        except NotFound:
            return

    # Finalizers

    def add_finalizer(self, kind: Kind, resource_id: str, *, known: Resource | None = None) -> Resource:
        """Put our finalizer on a running resource. Raises PhaseConflict if it is tearing down."""
        ours = finalizer(self.provider_id)

        def add(draft: Draft) -> None:
            if ours not in draft.finalizers:
                draft.finalizers.append(ours)

        return self.update(kind, resource_id, add, known=known)

    def remove_finalizers(self, kind: Kind, resource_id: str, *, known: Resource | None = None) -> Resource | None:
        """Take all finalizers of this provider off, also those of another program that ran under its id."""

        def ours(name: str) -> bool:
            return is_finalizer_of(self.provider_id, name)

        def remove(draft: Draft) -> None:
            draft.finalizers[:] = [name for name in draft.finalizers if not ours(name)]

        # A copy without any may be older than the finalizer.
        begin = known if known is not None and any(map(ours, known.finalizers)) else None
        try:
            return self.update(kind, resource_id, remove, known=begin, expected_phase=None)
        except NotFound:
            return None

    # The wire

    def _create(self, kind: Kind, draft: Draft) -> Resource:
        options = state_pb2.CreateOptions(owner=kind.owner(self.provider_id))
        request = state_pb2.CreateRequest(resource=draft.build(), options=options)
        return Resource(kind, self._call("Create", kind, draft.base.id, request).resource)

    def _update(self, kind: Kind, draft: Draft, expected_phase: Phase | None) -> Resource:
        # The owner that it has: another program may have created it.
        options = state_pb2.UpdateOptions(owner=draft.base.owner, expected_phase=expected_phase)
        request = state_pb2.UpdateRequest(new_resource=draft.build(), options=options)
        return Resource(kind, self._call("Update", kind, draft.base.id, request).resource)

    def _reread(self, kind: Kind, resource_id: str, tried: Resource | None, failure: OmniError) -> Resource | None:
        """The present copy after a failed try; raises `failure` where a newer copy cannot mend it."""
        current = self.get(kind, resource_id)
        # Of a resource that we may only put finalizers on, Omni refuses an old copy as a change of its spec.
        same = current is not None and tried is not None and current.order == tried.order
        if isinstance(failure, PermissionRefused) and (current is None or same):
            raise failure
        return current

    def _call(self, method: str, kind: Kind, resource_id: str, request: Message) -> Any:
        try:
            return self._connection.send(
                lambda stub: getattr(stub, method)(request, timeout=self._timeout_s, metadata=self._metadata(method))
            )
        except grpc.RpcError as error:
            raise self._connection.error(method, error, self._subject(kind, resource_id)) from None

    def _place(self, kind: Kind) -> dict[str, Any]:
        return {"namespace": kind.namespace(self.provider_id), "type": kind.type(self.provider_id)}

    def _metadata(self, method: str) -> tuple[tuple[str, str | bytes], ...]:
        return tuple(self._sign(f"/cosi.resource.State/{method}"))

    def _subject(self, kind: Kind, resource_id: str) -> str:
        return f"{kind.value}/{resource_id}"
