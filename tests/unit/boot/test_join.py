"""The machine configuration is passed on as Omni gave it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from app.boot.errors import ConfigNotReady
from app.boot.join import machine_config


@dataclass
class Source:
    text: str | None

    def join_config(self) -> str | None:
        return self.text


def test_known_configuration_is_served_byte_for_byte() -> None:
    assert machine_config(Source("kind: SideroLinkConfig\n# a comment\n")) == "kind: SideroLinkConfig\n# a comment\n"


@pytest.mark.parametrize("text", [None, ""])
def test_unknown_configuration_asks_to_come_again(text: str | None) -> None:
    with pytest.raises(ConfigNotReady) as caught:
        machine_config(Source(text))
    assert caught.value.retry_after_s
