"""What to send so that a System boots from the network once, and whether it reads back so.

Pure: the shapes of vendors in, requests out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from app.agents.words import clean
from workers.bmc.redfish.answers import as_dict
from workers.bmc.redfish.service import Document
from workers.bmc.redfish.system import System, text_at, values_in

TARGET: Final = "BootSourceOverrideTarget"
ENABLED: Final = "BootSourceOverrideEnabled"
MODE: Final = "BootSourceOverrideMode"
_ALLOWED: Final = "@Redfish.AllowableValues"
_MODES: Final = {"uefi": "UEFI", "bios": "Legacy"}
_PXE: Final = "Pxe"
_ONCE: Final = "Once"


@dataclass(frozen=True, slots=True)
class Place:
    """A resource that has boot settings. etags: what may be in its If-Match, the likeliest first."""

    path: str
    boot: dict[str, Any]
    etags: tuple[str, ...]


def system_place(system: System) -> Place:
    """The System itself."""
    return Place(system.path, system.boot, etag_ladder(system.etag, system.body_etag))


def settings_place(document: Document) -> Place:
    """A settings object."""
    etags = etag_ladder(document.etag, text_at(document.content, "@odata.etag"))
    return Place(document.path, as_dict(document.content.get("Boot")), etags)


def takes_orders(place: Place) -> bool:
    """Whether boot settings are changed there: a settings object may be for something else."""
    return TARGET in place.boot or ENABLED in place.boot or TARGET + _ALLOWED in place.boot


def order(place: Place, system_boot: dict[str, Any], mode: str | None) -> dict[str, Any]:
    """The body of the request.

    Args:
        place: where it goes.
        system_boot: the System's own part `Boot`; a settings object does not always repeat all of it.
        mode: `uefi` or `bios`; None leaves the boot mode as it is.
    """
    boot = {TARGET: _PXE, ENABLED: _ONCE}
    if mode is not None and _takes_mode(place.boot, system_boot, _MODES[mode]):
        boot[MODE] = _MODES[mode]
    return {"Boot": boot}


def without_mode(body: dict[str, Any]) -> dict[str, Any]:
    """The same order, which leaves the boot mode as it is."""
    return {"Boot": {key: value for key, value in body["Boot"].items() if key != MODE}}


def names_mode(body: dict[str, Any]) -> bool:
    """Whether the order names a boot mode."""
    return MODE in body["Boot"]


def difference(shown: dict[str, Any], mode: str | None) -> str:
    """What a part `Boot` shows instead of what was ordered, in words; "" where it shows that.

    mode: what was wished for, `uefi` or `bios`; None where it does not matter.
    """
    wanted = {TARGET: _PXE, ENABLED: _ONCE}
    if mode is not None and shown.get(MODE) is not None:
        wanted[MODE] = _MODES[mode]
    wrong = [f"{key} {clean(str(shown.get(key)))}" for key, value in wanted.items() if shown.get(key) != value]
    return f"it shows {', '.join(wrong)}" if wrong else ""


def etag_ladder(header: str, body: str) -> tuple[str, ...]:
    """What to try as If-Match, one after the other while the answer is 412; "" stands for no If-Match.

    Some give out weak ETags and compare only strong ones, some quote the header's twice, some want none, some any.
    """
    tags = [tag for given in (header, body) if given for tag in (given, given.removeprefix("W/"))]
    return tuple(dict.fromkeys((*tags, "", "*")))


def _takes_mode(boot: dict[str, Any], system_boot: dict[str, Any], mode: str) -> bool:
    """Whether the BMC shows that it has a boot mode, and this one."""
    if MODE not in boot and MODE not in system_boot:
        return False
    allowed = values_in(boot.get(MODE + _ALLOWED)) or values_in(system_boot.get(MODE + _ALLOWED))
    return allowed is None or mode in allowed
