"""Machine ids as clients write them."""

from __future__ import annotations

import re

from werkzeug.exceptions import BadRequest

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHOWN_CHARACTERS = 60


def is_machine_id(text: str) -> bool:
    """Whether this is the id of a machine: its SMBIOS UUID in lower case."""
    return _UUID.fullmatch(text) is not None


def machine_id_of(value: str | None, parameter: str) -> str:
    """The machine's id, lower case, from a query parameter. Raises BadRequest naming parameter and value."""
    if not value:
        raise BadRequest(f"the parameter {parameter} is missing: it is the UUID of the machine")
    lowered = value.lower()
    if not is_machine_id(lowered):
        raise BadRequest(f"the parameter {parameter} is no UUID: {value[:_SHOWN_CHARACTERS]!a}")
    return lowered
