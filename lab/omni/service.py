"""The state service over gRPC: each call is counted, checked against the provider's rights, and done in the store."""

# ruff: noqa: N802 - the methods are named as on the wire

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
import grpc.aio

from lab.omni.access import Access, Forbidden
from lab.omni.store import Place, Refused, Store, place_of
from lab.omni.watch import Watching, check_queries
from protos.gen.cosi import state_pb2, state_pb2_grpc


class StateService(state_pb2_grpc.StateServicer):
    """What a provider may call. refused: the words of each call that its role does not allow."""

    def __init__(self, store: Store, access: Access, calls: Counter[str]) -> None:
        self._store = store
        self._access = access
        self._calls = calls
        self.refused: list[str] = []
        self._watches: set[Watching] = set()
        self._silent_types: set[str] = set()

    def fail_watches(self, words: str) -> None:
        """Report an error in every open watch."""
        for watching in self._watches:
            watching.fail(words)

    def end_watches(self, reason: Refused) -> None:
        """End every open watch with this status."""
        for watching in self._watches:
            watching.end(reason)

    def silence_watches(self, type_: str) -> None:
        """Let the open watches of a type say nothing more."""
        for watching in self._watches:
            if watching.type == type_:
                watching.silence()

    def silence_new_watches(self, *types: str) -> None:
        """Let each new watch of these types, and of no others, say nothing beyond that it is established."""
        self._silent_types = set(types)

    async def Get(self, request: state_pb2.GetRequest, context: Any) -> state_pb2.GetResponse:
        """One resource."""
        place = self._count("Get", request)
        try:
            self._access.check_read(place)
            return state_pb2.GetResponse(resource=self._seen(place, request.id))
        except Refused as refused:
            await self._refuse(context, refused)

    async def List(self, request: state_pb2.ListRequest, context: Any) -> AsyncIterator[state_pb2.ListResponse]:
        """All resources of a type, one message each."""
        place = self._count("List", request)
        try:
            self._access.check_read(place)
            check_queries(request.options)
        except Refused as refused:
            await self._refuse(context, refused)
        for resource in self._store.list(place):
            if self._access.sees(resource):
                yield state_pb2.ListResponse(resource=resource)

    async def Create(self, request: state_pb2.CreateRequest, context: Any) -> state_pb2.CreateResponse:
        """A new resource."""
        place = self._count("Create", request.resource.metadata)
        try:
            self._access.check_create(request.resource, place)
            resource = self._access.labelled(request.resource)
            return state_pb2.CreateResponse(resource=self._store.create(resource, request.options.owner))
        except Refused as refused:
            await self._refuse(context, refused)

    async def Update(self, request: state_pb2.UpdateRequest, context: Any) -> state_pb2.UpdateResponse:
        """A new version of a resource."""
        new, options = request.new_resource, request.options
        place = self._count("Update", new.metadata)
        phase = options.expected_phase if options.HasField("expected_phase") else None
        try:
            self._access.check_change(place)
            old = self._seen(place, new.metadata.id)
            labelled = self._access.labelled(new)
            self._access.check_update(labelled, old, place)
            return state_pb2.UpdateResponse(resource=self._store.update(labelled, options.owner, phase))
        except Refused as refused:
            await self._refuse(context, refused)

    async def Teardown(self, request: state_pb2.TeardownRequest, context: Any) -> state_pb2.TeardownResponse:
        """The first half of a destruction."""
        place = self._count("Teardown", request)
        try:
            self._access.check_destroy(place)
            self._seen(place, request.id)
            ready = self._store.teardown(place, request.id, request.options.owner)
            return state_pb2.TeardownResponse(destroy_ready=ready)
        except Refused as refused:
            await self._refuse(context, refused)

    async def Destroy(self, request: state_pb2.DestroyRequest, context: Any) -> state_pb2.DestroyResponse:
        """The second half."""
        place = self._count("Destroy", request)
        try:
            self._access.check_destroy(place)
            self._seen(place, request.id)
            self._store.destroy(place, request.id, request.options.owner)
            return state_pb2.DestroyResponse()
        except Refused as refused:
            await self._refuse(context, refused)

    async def TeardownAndDestroy(
        self, request: state_pb2.TeardownAndDestroyRequest, context: Any
    ) -> state_pb2.TeardownAndDestroyResponse:
        """Not in the stand-in: it would wait for others' finalizers."""
        self._count("TeardownAndDestroy", request)
        await self._refuse(context, Refused(grpc.StatusCode.UNIMPLEMENTED, "TeardownAndDestroy"))

    async def Watch(self, request: state_pb2.WatchRequest, context: Any) -> AsyncIterator[state_pb2.WatchResponse]:
        """Each change of a type's resources, until the caller ends it."""
        self._count("Watch", request)
        try:
            watching = Watching(self._store, self._access, request)
        except Refused as refused:
            await self._refuse(context, refused)
        if watching.type in self._silent_types:
            watching.silence()
        self._watches.add(watching)
        try:
            async with aclosing(watching.responses()) as responses:
                async for response in responses:
                    yield response
        except Refused as refused:
            await self._refuse(context, refused)
        finally:
            self._watches.discard(watching)

    def _count(self, method: str, request: Any) -> Place:
        self._calls[f"{method} {request.type.partition('.')[0]}"] += 1
        return Place(request.namespace, request.type)

    def _seen(self, place: Place, resource_id: str) -> state_pb2.Resource:
        """The resource, as far as the provider may know of it."""
        resource = self._store.get(place, resource_id)
        if not self._access.sees(resource):
            words = f"resource {place_of(resource).type}({resource_id}) doesn't exist"
            raise Refused(grpc.StatusCode.NOT_FOUND, words)
        return resource

    async def _refuse(self, context: Any, refused: Refused) -> NoReturn:
        if isinstance(refused, Forbidden):
            self.refused.append(refused.words)
        await context.abort(refused.code, refused.words)
        raise refused  # not reached: abort raises
