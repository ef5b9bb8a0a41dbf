"""The machine id that an agent shows when it dials: the SMBIOS UUID."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from app.agents.frames import MACHINE_ID_KEY
from app.agents.words import clean

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class NoMachineId(Exception):
    """The agent shows no machine id, or something else in its place."""


def machine_id_in(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The machine id in the metadata of a call, in lower case. Raises NoMachineId."""
    shown = [str(value) for key, value in metadata if key == MACHINE_ID_KEY]
    if not shown:
        raise NoMachineId(f"the metadata {MACHINE_ID_KEY} is missing")
    machine_id = shown[0].lower()
    if len(shown) > 1 or not _UUID.fullmatch(machine_id):
        raise NoMachineId(f"{MACHINE_ID_KEY} must be one UUID, not {clean(', '.join(shown))!r}")
    return machine_id
