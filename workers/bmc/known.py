"""What is remembered of a BMC from one session to the next."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class BmcKind(enum.StrEnum):
    """How a BMC is spoken to."""

    API = "api"
    REDFISH = "redfish"
    IPMI = "ipmi"


@dataclass(frozen=True, slots=True)
class Known:
    """What a session found out.

    system: the path of the machine's System (Redfish).
    vendor, model, firmware: what the BMC says of itself, "" where it says nothing; cut and cleaned.
    doubt: what is not as it should be and yet no error, for a person: the System was chosen for want of a better one.
    matched: the System was chosen by the machine's UUID.
    """

    kind: BmcKind
    system: str = ""
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    doubt: str = ""
    matched: bool = False
