"""What Redfish services of different makes differ in, as far as a virtual one can be told to be so."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class ResetType(enum.StrEnum):
    """What a System can be told to do, of those that the schema knows."""

    ON = "On"
    FORCE_OFF = "ForceOff"
    FORCE_RESTART = "ForceRestart"
    POWER_CYCLE = "PowerCycle"
    GRACEFUL_SHUTDOWN = "GracefulShutdown"
    GRACEFUL_RESTART = "GracefulRestart"


GRACEFUL: Final = frozenset({ResetType.GRACEFUL_SHUTDOWN, ResetType.GRACEFUL_RESTART})


class IfMatch(enum.Enum):
    """What a service makes of the header If-Match at a change."""

    IGNORED = "ignored"
    CHECKED = "checked"
    """Another ETag than that of now is answered with 412."""
    REQUIRED = "required"
    """As above, and none at all with 428."""


@dataclass(slots=True)
class Traits:
    """One make; may be changed at any time.

    vendor, model, firmware: what it says of itself.
    reset_types: what it lists, and takes.
    reset_types_apart: they are listed in the ActionInfo alone.
    boot_modes: those it lists and takes; where there are none, it knows no mode.
    already: the status of a reset that changes nothing: 204, or 409 as some have it.
    if_match: what it makes of ETags.
    session_slots: how many sessions may be open.
    """

    vendor: str = "Omni-Metal"
    model: str = "Virtual Machine"
    firmware: str = "1.0.0"
    reset_types: tuple[ResetType, ...] = tuple(ResetType)
    reset_types_apart: bool = False
    boot_modes: tuple[str, ...] = ("UEFI", "Legacy")
    already: int = 204
    if_match: IfMatch = IfMatch.CHECKED
    session_slots: int = 8
