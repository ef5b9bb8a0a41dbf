"""One watch of one kind: first everything there is, then each change.

    with omni.watch(Kind.INFRA_MACHINE) as watch:
        for event in watch:
            match event: ...

The watch ends by raising an OmniError when the connection breaks or Omni reports an error in it; whoever wants to go
on begins a new one, whose Bootstrap shows what was missed. Bookmarks are not used: one that Omni does not know any
more gives a watch that is silent for ever. `cancel()`, from any thread, ends it without an error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import grpc

from app.omni.errors import OmniError, WatchEnded, clean
from app.omni.kinds import Kind
from app.omni.resource import Resource
from protos.gen.cosi import state_pb2

# Omni sends some thousand resources within a second; without an end of them the watch is of no use.
BOOTSTRAP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """All resources of the kind as they are now. Comes once, first."""

    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """A resource was created or updated."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Destroyed:
    """A resource is gone; this is its last copy."""

    resource: Resource


WatchEvent = Bootstrap | Changed | Destroyed


class Watch:
    """An iterator of WatchEvents. The connection is opened with the first event that is asked for."""

    def __init__(
        self,
        kind: Kind,
        start: Callable[[], Any],
        error: Callable[[str, grpc.RpcError, str], OmniError],
        bootstrap_timeout_s: float | None = None,
    ) -> None:
        self.kind = kind
        self._start = start
        self._error = error
        self._bootstrap_timeout_s = bootstrap_timeout_s or BOOTSTRAP_TIMEOUT_S
        self._lock = threading.Lock()
        self._call: Any = None
        self._cancelled = False
        self._late = False
        self._events = self._run()

    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """End the watch from any thread; whoever iterates sees its end."""
        with self._lock:
            self._cancelled = True
            if self._call is not None:
                self._call.cancel()

    def __iter__(self) -> Iterator[WatchEvent]:
        return self

    def __next__(self) -> WatchEvent:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def _run(self) -> Iterator[WatchEvent]:
        with self._lock:
            if self._cancelled:
                return
            call = self._call = self._start()
        timer = threading.Timer(self._bootstrap_timeout_s, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            yield from self._told(call, timer)
            raise WatchEnded("Watch", self.kind.value, "Omni ended the watch")
        except grpc.RpcError as error:
            if self.cancelled():
                return
            if self._late:
                words = f"no end of the present resources within {self._bootstrap_timeout_s:g} s"
                raise WatchEnded("Watch", self.kind.value, words) from None
            raise self._error("Watch", error, self.kind.value) from None
        finally:
            timer.cancel()
            call.cancel()

    def _told(self, call: Any, timer: threading.Timer) -> Iterator[WatchEvent]:
        """What Omni's messages tell.

        Each is let go before the next is waited for: the first holds everything there is, and the next may be days off.
        """
        present: dict[str, Resource] | None = {}
        for response in call:
            for event in response.event:
                if present is None:
                    yield from self._later(event)
                elif event.event_type == state_pb2.BOOTSTRAPPED:
                    timer.cancel()
                    yield Bootstrap(tuple(present.values()))
                    present = None
                else:
                    self._gather(present, event)
                del event
            del response

    def _gather(self, present: dict[str, Resource], event: state_pb2.Event) -> None:
        for change in self._later(event):
            if isinstance(change, Changed):
                present[change.resource.id] = change.resource
            else:
                present.pop(change.resource.id, None)

    def _later(self, event: state_pb2.Event) -> Iterator[Changed | Destroyed]:
        if event.event_type == state_pb2.ERRORED:
            # Such a stream stays open and silent for ever.
            raise WatchEnded("Watch", self.kind.value, clean(event.error) or "an error without words")
        if event.event_type in (state_pb2.CREATED, state_pb2.UPDATED):
            yield Changed(Resource(self.kind, event.resource))
        elif event.event_type == state_pb2.DESTROYED:
            yield Destroyed(Resource(self.kind, event.resource))

    def _give_up(self) -> None:
        with self._lock:
            self._late = True
            if self._call is not None:
                self._call.cancel()
