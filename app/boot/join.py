"""The machine configuration that Talos fetches from `/config`: how a machine joins Omni."""

from __future__ import annotations

from typing import Protocol

from app.boot.errors import ConfigNotReady


class JoinConfigSource(Protocol):
    """Where the join configuration is kept: the mirror."""

    def join_config(self) -> str | None:
        """The YAML of Omni's ProviderJoinConfig, or None while it is not known."""


def machine_config(source: JoinConfigSource) -> str:
    """The configuration as Omni gives it. It holds the join token. Raises ConfigNotReady."""
    text = source.join_config()
    if not text:
        raise ConfigNotReady("the machine configuration has not been read from Omni yet: try again in a few seconds")
    return text
