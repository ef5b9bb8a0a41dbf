"""What is remembered of a machine's BMC: what it is, and what goes wrong with it. Fields of the machine's hash.

No login is in them. The door to the BMCs (`workers/bmc/door.py`) writes them, pages and decisions read them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from app.machine.sentences import remedied

# The class of the error of a login that does not fit into the protocol: no sweep makes it fit, like a refused one.
LOGIN_UNUSABLE: Final = "BmcLoginUnusable"
FOUND, TROUBLE, NEXT = "f:bmc-found", "f:bmc-trouble", "f:bmc-next"


@dataclass(frozen=True, slots=True)
class BmcFound:
    """What a session with the BMC found out.

    kind: how it is spoken to: `api`, `redfish` or `ipmi`.
    system: the path of the machine's System (Redfish).
    vendor, model, firmware: what it says of itself, "" where it says nothing.
    doubt: what is not as it should be and yet no error, for a person.
    found_ms: when, by Redis' clock.
    matched: the System was chosen by the machine's UUID.
    """

    kind: str
    system: str = ""
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    doubt: str = ""
    found_ms: int = 0
    matched: bool = False

    @property
    def name(self) -> str:
        """Vendor, model and firmware on one line."""
        return " ".join(filter(None, (self.vendor, self.model, self.firmware and f"(firmware {self.firmware})")))


@dataclass(frozen=True, slots=True)
class BmcTrouble:
    """Why nothing can be done with a BMC, since its last session in which something could.

    since_ms: of the first of the failures in a row.
    refused: it refuses the login, and waits for another one or a person; everything else may pass.
    words, hint: the cause and the remedy, for a person.
    error: the class of the last failure.
    count: failures in a row.
    place: of the BMC; another one has another story.
    next_ms: when the sweep asks it again; 0 = with the next one.
    """

    since_ms: int
    refused: bool
    words: str
    error: str = ""
    hint: str = ""
    count: int = 1
    place: str = ""
    next_ms: int = 0

    @property
    def waits_for_a_person(self) -> bool:
        """Whether nothing but another login, or a person, will help."""
        return self.refused or self.error == LOGIN_UNUSABLE

    @property
    def told(self) -> str:
        """The cause and the remedy."""
        return remedied(self.words, self.hint)


def found_text(found: BmcFound) -> str:
    """The note of what was found."""
    return json.dumps(asdict(found))


def trouble_text(trouble: BmcTrouble) -> str:
    """The note of what goes wrong. When it is asked again stands beside it."""
    return json.dumps({name: value for name, value in asdict(trouble).items() if name != "next_ms"})


def found_of(note: bytes | None) -> BmcFound | None:
    """What a note says; None where there is none, or one of another version."""
    try:
        return BmcFound(**_known(BmcFound, note)) if note else None
    except (ValueError, TypeError):
        return None


def trouble_of(note: bytes | None, next_note: bytes | None = None) -> BmcTrouble | None:
    """What a note says, and the one of when it is asked again; None where there is none, or one of another version."""
    try:
        return BmcTrouble(**_known(BmcTrouble, note), next_ms=int(next_note or 0)) if note else None
    except (ValueError, TypeError):
        return None


def noted(fields: Mapping[bytes, bytes]) -> tuple[BmcFound | None, BmcTrouble | None]:
    """What a machine's hash says of its BMC."""
    row = (fields.get(name.encode()) for name in (FOUND, TROUBLE, NEXT))
    found, trouble, next_note = row
    return found_of(found), trouble_of(trouble, next_note)


def _known(kind: type[BmcFound | BmcTrouble], note: bytes | None) -> dict[str, Any]:
    """The fields of a note that this version knows."""
    names = {field.name for field in fields(kind)} - {"next_ms"}
    return {name: value for name, value in json.loads(note or b"").items() if name in names}
