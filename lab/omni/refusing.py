"""Calls to the stand-in Omni that are refused before anything of them is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
import grpc.aio

from lab.omni.store import Refused


class RefuseAll(grpc.aio.ServerInterceptor):
    """Refuses every new call while it has a `reason`, as Omni does with an account that it does not know any more.

    Streams that are open go on: who calls is looked at when a stream begins.
    """

    def __init__(self) -> None:
        self.reason: Refused | None = None

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Put the refusal in the place of a method."""
        handler = await continuation(details)
        return handler if handler is None or self.reason is None else refusing(handler, self.reason)


def refusing(handler: Any, reason: Refused) -> Any:
    """A method that answers all calls with this status."""

    async def one(_request: Any, context: Any) -> NoReturn:
        await context.abort(reason.code, reason.words)
        raise AssertionError  # not reached: abort raises

    async def many(_request: Any, context: Any) -> AsyncIterator[Any]:
        await context.abort(reason.code, reason.words)
        yield  # not reached, but it makes this a stream

    kinds = (handler.request_deserializer, handler.response_serializer)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(many, *kinds)
    return grpc.unary_unary_rpc_method_handler(one, *kinds)
