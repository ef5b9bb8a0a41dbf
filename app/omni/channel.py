"""The connection to Omni: its endpoint, its channel options, and who signs the calls."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

import grpc

from app.omni.errors import EndpointInvalid

# Omni's own clients use these three.
MESSAGE_LIMIT_BYTES = 32 * 1024 * 1024
KEEPALIVE_MS = 60_000
COMPRESSION = grpc.Compression.Gzip
# A ping that is not answered within this means that the connection is dead.
KEEPALIVE_TIMEOUT_MS = 20_000
# grpc's own limit is 120 s: too long a wait after Omni is back.
RECONNECT_FIRST_MS = 500
RECONNECT_LIMIT_MS = 5_000

PLAIN_PORT = 80


class Signer(Protocol):
    """Gives the metadata that shows who calls a method (`/cosi.resource.State/Get`)."""

    def __call__(self, method: str, /) -> Sequence[tuple[str, str]]:
        """The metadata for one call that is made now."""
        ...


def unsigned(_method: str) -> Sequence[tuple[str, str]]:
    """For an Omni that asks nobody who they are."""
    return ()


def address_of(endpoint: str) -> str:
    """`host:port` of an endpoint. Raises EndpointInvalid."""
    parts = urlsplit(endpoint)
    if parts.scheme == "https":
        raise EndpointInvalid(
            f"Omni endpoint {endpoint!r}: signed requests over TLS are not in this version; use an http:// endpoint"
        )
    try:
        port = parts.port or PLAIN_PORT
    except ValueError as error:
        raise EndpointInvalid(f"Omni endpoint {endpoint!r}: {error}") from None
    if parts.scheme not in ("http", "grpc") or not parts.hostname or parts.path.strip("/"):
        raise EndpointInvalid(f"Omni endpoint {endpoint!r}: write it as http://HOST[:PORT]")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


def open_channel(endpoint: str) -> grpc.Channel:
    """A channel to Omni. It connects with its first call, and again by itself after each break."""
    address = address_of(endpoint)
    options = [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_FIRST_MS),
        ("grpc.min_reconnect_backoff_ms", RECONNECT_FIRST_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_LIMIT_MS),
    ]
    if _is_loopback(address):
        options.append(("grpc.enable_http_proxy", 0))  # a proxy's loopback is not ours
    return grpc.insecure_channel(address, options=options, compression=COMPRESSION)


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
