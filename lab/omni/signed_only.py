"""Lets only signed calls through to the stand-in Omni."""

from __future__ import annotations

from typing import Any, Final

import grpc
import grpc.aio

from lab.omni.refusing import refusing
from lab.omni.signatures import Signatures
from lab.omni.store import Refused

REFUSED: Final = Refused(grpc.StatusCode.UNAUTHENTICATED, "invalid signature")


class SignedOnly(grpc.aio.ServerInterceptor):
    """Refuses every other call, before anything of it is done."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Look at the headers of a call; a stream is looked at once, when it begins."""
        handler = await continuation(details)
        if handler is None or self._signatures.accepts(details.method, _by_name(details.invocation_metadata)):
            return handler
        return refusing(handler, REFUSED)


def _by_name(metadata: Any) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in metadata or ():
        headers.setdefault(name, []).append(value if isinstance(value, str) else value.decode("latin-1"))
    return headers
