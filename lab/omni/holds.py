"""Calls to the stand-in Omni that are held back: before they are done, or done but not answered yet."""

from __future__ import annotations

from typing import Any, Final

import grpc
import grpc.aio

from app.omni.kinds import Kind
from lab.holding import Hold

# method, type, id, whether the call is done before it is held
_Place = tuple[str, str, str, bool]

_SUBJECTS: Final = {"Create": "resource", "Update": "new_resource"}


class Holds(grpc.aio.ServerInterceptor):
    """Holds calls of one method on one resource."""

    def __init__(self, provider_id: str) -> None:
        self._provider_id = provider_id
        self._holds: dict[_Place, Hold] = {}

    def add(self, method: str, kind: Kind, resource_id: str, *, done: bool) -> Hold:
        """Hold such calls from now on. done: Omni does what they ask for first, and keeps the answer back."""
        hold = self._holds[method, kind.type(self._provider_id), resource_id, done] = Hold()
        return hold

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Put the holds around a method that has one answer."""
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = details.method.rpartition("/")[2]

        async def held(request: Any, context: Any) -> Any:
            await self._wait(method, request, done=False)
            answer = await handler.unary_unary(request, context)
            await self._wait(method, request, done=True)
            return answer

        return grpc.unary_unary_rpc_method_handler(held, handler.request_deserializer, handler.response_serializer)

    async def _wait(self, method: str, request: Any, *, done: bool) -> None:
        subject = getattr(request, _SUBJECTS[method]).metadata if method in _SUBJECTS else request
        hold = self._holds.get((method, subject.type, subject.id, done))
        if hold is not None:
            await hold.passed()
