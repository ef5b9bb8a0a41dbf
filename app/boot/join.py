"""The machine configuration that Talos fetches from `/config`: how a machine joins Omni."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.boot.errors import ConfigNotReady


class JoinConfigSource(Protocol):
    """Where the join configuration is kept: the mirror."""

    def join_config(self) -> str | None:
        """The YAML of Omni's ProviderJoinConfig, or None while it is not known."""


def machine_config(source: JoinConfigSource, extra_documents: Sequence[str] = ()) -> str:
    """The configuration as Omni gives it, and these documents behind it. It holds the join token.

    Raises:
        ConfigNotReady: it is not known yet.
    """
    text = source.join_config()
    if not text:
        raise ConfigNotReady("the machine configuration has not been read from Omni yet: try again in a few seconds")
    for document in extra_documents:
        text += ("" if text.endswith("\n") else "\n") + "---\n" + document
    return text
