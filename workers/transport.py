"""Celery's connection to Redis, with one client for a channel.

kombu (5.7) makes a new client for each message that is sent, taken or acknowledged, which costs more than what it is
used for. A client is a thin shell around the channel's pool of connections, and serves any number of threads.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis


class OneClientChannel(kombu_redis.Channel):
    """A channel that keeps its client as long as its pool."""

    _one_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002  # kombu calls it so
        if asynchronous:  # it keeps these itself
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self._one_client is None or self._one_client.connection_pool is not self.pool:
            self._one_client = super()._create_client()  # type: ignore[no-untyped-call]
        return self._one_client


class OneClientTransport(kombu_redis.Transport):
    """The transport of Redis, by TCP, TLS and unix socket."""

    Channel = OneClientChannel


def use() -> None:
    """Have this process take it for all connections to Redis."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{OneClientTransport.__name__}"
