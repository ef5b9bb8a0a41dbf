"""The channel to Omni: its options, whom it trusts, and who signs the calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import grpc

from app.omni.endpoint import Endpoint
from app.omni.pinning import Pin
from app.omni.trust import trusted_roots

# Omni's own clients use these three.
MESSAGE_LIMIT_BYTES = 32 * 1024 * 1024
KEEPALIVE_MS = 60_000
COMPRESSION = grpc.Compression.Gzip
# A ping that is not answered within this means that the connection is dead. grpc has two limits for it, and the other
# one is 60 s unless it is set as well.
KEEPALIVE_TIMEOUT_MS = 20_000
# grpc's own limit is 120 s: too long a wait after Omni is back.
RECONNECT_FIRST_MS = 500
# Of one attempt: TCP, TLS and HTTP/2's greeting together, with Omni on another continent and a packet lost on the way.
CONNECT_LIMIT_MS = 5_000
RECONNECT_LIMIT_MS = 5_000


class Signer(Protocol):
    """Gives the metadata that shows who calls a method (`/cosi.resource.State/Get`)."""

    def __call__(self, method: str, /) -> Sequence[tuple[str, str]]:
        """The metadata for one call that is made now."""
        ...


def unsigned(_method: str) -> Sequence[tuple[str, str]]:
    """For an Omni that asks nobody who they are."""
    return ()


def open_channel(place: Endpoint, pin: Pin | None = None) -> grpc.Channel:
    """A channel to Omni. It connects with its first call, and again by itself after each break.

    Args:
        place: where Omni answers.
        pin: the one certificate to trust; without, those that the system's authorities have signed.
    """
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        # Else grpc sends two pings and no more while we have nothing to say, as is the way of a watch.
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_FIRST_MS),
        ("grpc.min_reconnect_backoff_ms", CONNECT_LIMIT_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_LIMIT_MS),
    ]
    if place.loopback:
        options.append(("grpc.enable_http_proxy", 0))  # a proxy's loopback is not ours
    if not place.secure:
        return grpc.insecure_channel(place.address, options=options, compression=COMPRESSION)
    if pin is not None and pin.name:
        # It is the `:authority` of every call as well: grpc refuses to call another host than it has verified.
        options.append(("grpc.ssl_target_name_override", pin.name))
    credentials = grpc.ssl_channel_credentials(pin.pem if pin else trusted_roots())
    return grpc.secure_channel(place.address, credentials, options=options, compression=COMPRESSION)
