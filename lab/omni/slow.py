"""Calls to the stand-in Omni that take their time, as over a long way."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio


class Slow(grpc.aio.ServerInterceptor):
    """Waits before each call that has one answer; a stream that is open tells its news at once."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Put the wait before a method."""
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        async def later(request: Any, context: Any) -> Any:
            await asyncio.sleep(self._delay_s)
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(later, handler.request_deserializer, handler.response_serializer)
