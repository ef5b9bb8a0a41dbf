"""One watch as the stand-in serves it: what there is, then each change, several in one message where asked.

A watcher only notes an event when it happens; it is sent when the connection takes it, together with all that have
come since, so that a thousand changes at once cost a few messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import grpc

from lab.omni.access import Access
from lab.omni.store import Place, Refused, Store
from protos.gen.cosi import state_pb2


class Watching:
    """The events of one type for one caller."""

    def __init__(self, store: Store, access: Access, request: state_pb2.WatchRequest) -> None:
        self._store = store
        self._access = access
        self._request = request
        self._place = Place(request.namespace, request.type)
        self._waiting: list[state_pb2.Event] = []
        self._news = asyncio.Event()
        self._silent = False
        self._ended: Refused | None = None
        access.check_watch(self._place)
        _check_options(request)

    @property
    def type(self) -> str:
        """Of which resources it tells."""
        return self._place.type

    def fail(self, words: str) -> None:
        """Tell the caller of an error, and then nothing any more; the stream stays open, as Omni's does."""
        self._append(state_pb2.Event(event_type=state_pb2.ERRORED, error=words))
        self.silence()

    def silence(self) -> None:
        """Tell the caller nothing from now on, and leave the stream open."""
        self._silent = True

    def end(self, reason: Refused) -> None:
        """End the stream with this status."""
        self._ended = reason
        self._news.set()

    async def responses(self) -> AsyncGenerator[state_pb2.WatchResponse]:
        """The messages to send, without end. The first is empty: the watch is established. Raises Refused."""
        stop = self._begin()
        try:
            yield state_pb2.WatchResponse()
            while True:
                await self._news.wait()
                self._news.clear()
                if self._ended is not None:
                    raise self._ended
                events, self._waiting = self._waiting, []
                for response in self._pack(events):
                    yield response
        finally:
            stop()

    def _begin(self) -> Callable[[], None]:
        """Note what there is and listen from then on, without a gap."""
        options, request = self._request.options, self._request
        if request.HasField("id"):
            self._append(self._present())
        elif options.bootstrap_contents:
            for resource in self._store.list(self._place):
                self._append(state_pb2.Event(event_type=state_pb2.CREATED, resource=resource))
            self._append(self._mark(state_pb2.BOOTSTRAPPED))
        if options.bootstrap_bookmark:
            self._append(self._mark(state_pb2.NOOP))
        return self._store.observe(self._place, self._append)

    def _append(self, event: state_pb2.Event) -> None:
        wanted = not self._request.HasField("id") or event.resource.metadata.id == self._request.id
        if wanted and not self._silent:
            self._waiting.append(event)
            self._news.set()

    def _pack(self, events: list[state_pb2.Event]) -> list[state_pb2.WatchResponse]:
        """What the caller may not see is left out only here: Omni sends such a message empty."""
        shown = [event for event in events if self._shows(event)]
        if self._request.options.aggregated:
            return [state_pb2.WatchResponse(event=shown)]
        return [state_pb2.WatchResponse(event=[event]) for event in shown]

    def _shows(self, event: state_pb2.Event) -> bool:
        if event.event_type in (state_pb2.BOOTSTRAPPED, state_pb2.NOOP, state_pb2.ERRORED):
            return self._request.api_version >= 1
        return self._access.sees(event.resource)

    def _present(self) -> state_pb2.Event:
        found = self._store.find(self._place, self._request.id)
        if found is not None:
            return state_pb2.Event(event_type=state_pb2.CREATED, resource=found)
        return state_pb2.Event(event_type=state_pb2.DESTROYED, resource=self._nothing(self._request.id))

    def _mark(self, event_type: state_pb2.EventType.ValueType) -> state_pb2.Event:
        bookmark = self._store.revision.to_bytes(8, "big")
        return state_pb2.Event(event_type=event_type, resource=self._nothing(""), bookmark=bookmark)

    def _nothing(self, resource_id: str) -> state_pb2.Resource:
        metadata = state_pb2.Metadata(
            namespace=self._place.namespace, type=self._place.type, id=resource_id, version="undefined", phase="running"
        )
        return state_pb2.Resource(metadata=metadata, spec=state_pb2.Spec())


def _check_options(request: state_pb2.WatchRequest) -> None:
    options = request.options
    if options.tail_events:
        raise Refused(grpc.StatusCode.UNKNOWN, "tailEvents is not supported")
    if options.HasField("start_from_bookmark"):
        if options.bootstrap_contents:
            raise Refused(grpc.StatusCode.UNKNOWN, "bootstrap contents and a bookmark are not supported together")
        # The stand-in keeps no history: to it every bookmark is one from before a restart.
        raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "invalid watch bookmark")
    check_queries(options)
    if request.HasField("id") and options.bootstrap_contents:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "bootstrap contents of one resource")


def check_queries(options: state_pb2.WatchOptions | state_pb2.ListOptions) -> None:
    """The stand-in has no queries, and says so instead of showing everything."""
    if options.label_query or options.HasField("id_query"):
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, "the stand-in does not select by label or id")
