"""Finds the machine's System, from the service's root on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from app.agents.words import clean
from workers.bmc.errors import BmcAuthenticationFailed, BmcError, BmcNoSystem, BmcRefused, BmcUnsupported
from workers.bmc.known import Known
from workers.bmc.redfish.service import Document, Service
from workers.bmc.redfish.system import System, choose, is_same, known_of, read_system, text_at

ROOT_PATH: Final = "/redfish/v1/"
# A chassis of blades lists a dozen; simulators list all of their machines.
MOST_SYSTEMS: Final = 256
# The slowest known BMC takes ten seconds for a System. The BMC is nobody else's meanwhile, and the operation waits.
FIND_WITHIN_S = 60.0


def find_system(machine_id: str, service: Service) -> tuple[System, Known]:
    """The machine's System, read just now, and what is worth to be remembered. Raises BmcError.

    service: is told what is known of the BMC as soon as that is known.
    """
    with service.within(FIND_WITHIN_S, "its Systems"):
        root = _read_root(service)
        service.known = known_of(root.content)
        systems = _candidates(machine_id, service, root)
    system, doubt = choose(machine_id, systems)
    matched = is_same(machine_id, system.uuid)
    service.known = replace(known_of(root.content, system, doubt), matched=matched)
    return system, service.known


def gone_from(machine_id: str) -> BmcNoSystem:
    """The error where the machine's System was at this BMC once, and those that are there now are other machines'."""
    error = BmcNoSystem(f"the System of {machine_id} is not at this BMC any more", executed=False)
    error.hint = "Look which machine this BMC is of; `omni-metal bmc probe` looks anew, and takes what it finds"
    return error


def _candidates(machine_id: str, service: Service, root: Document) -> list[System]:
    """At least one System: all of them, or those up to the machine's. Raises BmcError."""
    systems: list[System] = []
    trouble: BmcError | None = None
    for path in _members(service, root):
        try:
            systems.append(read_system(service.read(path)))
        except (BmcRefused, BmcUnsupported) as error:  # one of several may be out of order
            trouble = error
            continue
        if is_same(machine_id, systems[-1].uuid):
            return systems
    if trouble is not None:  # it may be the machine's own
        raise trouble
    if not systems:
        raise BmcNoSystem(f"the BMC of {machine_id} lists no System", executed=False)
    return systems


def describe_system(service: Service, system: System, known: Known) -> Known:
    """What is known, with the version of the BMC's firmware where it tells that. Raises BmcAuthenticationFailed."""
    if not system.manager_path:
        return known
    try:
        manager = service.read(system.manager_path)
    except BmcAuthenticationFailed:
        raise
    except BmcError:
        return known
    firmware = text_at(manager.content, "FirmwareVersion")
    return replace(known, firmware=clean(firmware))


def _read_root(service: Service) -> Document:
    """The root, which Redfish gives to everybody; some BMCs want the login even for it."""
    try:
        return service.read(ROOT_PATH, with_login=False)
    except BmcAuthenticationFailed:
        return service.read(ROOT_PATH)


def _members(service: Service, root: Document) -> Iterator[str]:
    path = text_at(root.content, "Systems", "@odata.id")
    listed = 0
    seen: set[str] = set()
    while path and path not in seen and listed < MOST_SYSTEMS:
        seen.add(path)
        page = service.read(path).content
        members = page.get("Members")
        for member in members if isinstance(members, list) else []:
            listed += 1
            if (member_path := text_at(member, "@odata.id")) and listed <= MOST_SYSTEMS:
                yield member_path
        path = text_at(page, "Members@odata.nextLink")
