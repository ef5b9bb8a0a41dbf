"""Lets only signed calls through to the stand-in Omni."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

from lab.omni.signatures import Signatures

REFUSED: Final = "invalid signature"


class SignedOnly(grpc.aio.ServerInterceptor):
    """Refuses every other call, before anything of it is done."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Look at the headers of a call; a stream is looked at once, when it begins."""
        handler = await continuation(details)
        if handler is None or self._signatures.accepts(details.method, _by_name(details.invocation_metadata)):
            return handler
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                _refuse_stream, handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(_refuse, handler.request_deserializer, handler.response_serializer)


async def _refuse(_request: Any, context: Any) -> NoReturn:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, REFUSED)
    raise AssertionError  # not reached: abort raises


async def _refuse_stream(_request: Any, context: Any) -> AsyncIterator[Any]:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, REFUSED)
    yield  # not reached, but it makes this a stream


def _by_name(metadata: Any) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in metadata or ():
        headers.setdefault(name, []).append(value if isinstance(value, str) else value.decode("latin-1"))
    return headers
