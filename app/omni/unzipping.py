"""Unpacks the answers that grpc forgets to unpack.

Of some 140,000 compressed answers grpc (1.85) hands out one as it came, still packed by gzip. No message can begin as
gzip does: that would be a field of a wire type that there is none of.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import grpc

_GZIP = b"\x1f\x8b\x08"

Parse = Callable[[bytes], Any]


def unzipped(parse: Parse) -> Parse:
    """The same parser, for answers that may be packed."""

    def parse_any(data: bytes) -> Any:
        return parse(gzip.decompress(data) if data[: len(_GZIP)] == _GZIP else data)

    return parse_any


class UnzippingChannel:
    """What a stub needs of a channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def unary_unary(self, method: str, *, response_deserializer: Parse, **more: Any) -> Any:
        """Calls with one answer."""
        return self._channel.unary_unary(method, response_deserializer=unzipped(response_deserializer), **more)

    def unary_stream(self, method: str, *, response_deserializer: Parse, **more: Any) -> Any:
        """Calls with many."""
        return self._channel.unary_stream(method, response_deserializer=unzipped(response_deserializer), **more)
