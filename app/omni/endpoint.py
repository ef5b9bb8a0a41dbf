"""The address of Omni: host, port, and whether it is spoken to over TLS."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.omni.errors import EndpointInvalid

PLAIN_PORT = 80
TLS_PORT = 443
SECURE = {"https": True, "http": False, "grpc": False}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Omni answers."""

    host: str
    port: int
    secure: bool

    @property
    def address(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it is this very host."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint in `https://HOST[:PORT]`, `http://…` or `grpc://…`. Raises EndpointInvalid."""
    try:
        parts = urlsplit(text)
        given = parts.port
    except ValueError as error:
        raise EndpointInvalid(f"Omni endpoint {text!r}: {error}") from None
    secure = SECURE.get(parts.scheme)
    if secure is None or not parts.hostname or parts.path.strip("/"):
        raise EndpointInvalid(f"Omni endpoint {text!r}: write it as https://HOST[:PORT] or http://HOST[:PORT]")
    return Endpoint(parts.hostname, given or (TLS_PORT if secure else PLAIN_PORT), secure)
