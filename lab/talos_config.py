"""The machine configuration as the Talos of a virtual machine reads it: strict, and no more than the lab acts upon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from lab.fetch import Fetched


class ConfigRefused(Exception):
    """Talos would not take this configuration, or could not join with it."""


@dataclass(frozen=True, slots=True)
class TalosConfig:
    """What a configuration says. join_token: '' where its address has none; roots: PEM of who is trusted."""

    join_token: str = field(repr=False)
    roots: str


def read_config(answer: Fetched) -> TalosConfig:
    """Read what was fetched. Raises ConfigRefused."""
    if answer.status != 200:
        raise ConfigRefused(f"HTTP {answer.status}")
    try:
        documents = [document for document in yaml.safe_load_all(answer.text) if document is not None]
    except yaml.YAMLError as error:
        raise ConfigRefused(f"it is not YAML: {error}") from None
    known: set[tuple[Any, Any]] = set()
    for document in documents:
        if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
            raise ConfigRefused("a document of it has no kind or no apiVersion")
        name = (document["kind"], document.get("name"))
        if name in known:
            raise ConfigRefused(f"it has two documents {name}")
        known.add(name)
    link = next((document for document in documents if document["kind"] == "SideroLinkConfig"), None)
    if link is None:
        raise ConfigRefused("no SideroLinkConfig in it")
    tokens = parse_qs(urlsplit(str(link.get("apiUrl", ""))).query).get("jointoken", [""])
    roots = [str(d.get("certificates", "")) for d in documents if d["kind"] == "TrustedRootsConfig"]
    return TalosConfig(tokens[0], "\n".join(roots))
