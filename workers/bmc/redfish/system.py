"""A System as its BMC describes it, and which of several is the machine's.

Read with care: sushy takes a whole System for faulty where one field of it is, such as a date that the BMC writes in
its own way, and its power could not be read any more.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.agents.words import clean
from app.machine.model import PowerState
from workers.bmc.known import BmcKind, Known
from workers.bmc.redfish.answers import as_dict
from workers.bmc.redfish.service import Document

# The states between are neither: what is on its way is asked again.
_POWER: Final = {"On": PowerState.ON, "Off": PowerState.OFF}
# What SMBIOS has for "not present" and "not set".
_STAND_FOR_NONE: Final = (0, (1 << 128) - 1)
# The names under which vendors put what is their own into a service root that does not name its vendor.
_OEM_KEYS: Final = ("Hpe", "Hp", "Dell", "Supermicro", "Lenovo", "Ami", "AMI", "ts_fujitsu", "Huawei", "OpenBmc")


@dataclass(frozen=True, slots=True)
class System:
    """What is used of a System.

    path: where it is.
    uuid: in the BMC's words.
    boot: its part `Boot`, as it came.
    etag, body_etag: of the answer's header and in its body, "" where there is none.
    settings_path: of its settings object, "" where none is named.
    reset_path: what a reset is posted to, "" where there is none.
    reset_types: which it takes; None where it does not say.
    reset_info_path: of the ActionInfo that lists them, "" where none is named.
    manager_path: of the BMC itself.
    """

    path: str
    uuid: str
    power: PowerState
    manufacturer: str
    model: str
    boot: dict[str, Any]
    etag: str
    body_etag: str
    settings_path: str
    reset_path: str
    reset_types: frozenset[str] | None
    reset_info_path: str
    manager_path: str


def read_system(document: Document) -> System:
    """The System in a document; what is missing or of another type is as if not said."""
    content = document.content
    reset = as_dict(as_dict(content.get("Actions")).get("#ComputerSystem.Reset"))
    managers = as_dict(content.get("Links")).get("ManagedBy")
    return System(
        path=document.path,
        uuid=text_at(content, "UUID"),
        power=_POWER.get(text_at(content, "PowerState"), PowerState.UNKNOWN),
        manufacturer=clean(text_at(content, "Manufacturer")),
        model=clean(text_at(content, "Model")),
        boot=as_dict(content.get("Boot")),
        etag=document.etag,
        body_etag=text_at(content, "@odata.etag"),
        settings_path=text_at(content, "@Redfish.Settings", "SettingsObject", "@odata.id"),
        reset_path=text_at(reset, "target"),
        reset_types=values_in(reset.get("ResetType@Redfish.AllowableValues")),
        reset_info_path=text_at(reset, "@Redfish.ActionInfo"),
        manager_path=text_at(managers[0], "@odata.id") if isinstance(managers, list) and managers else "",
    )


def reset_types_in(action_info: Document) -> frozenset[str] | None:
    """The reset types that an ActionInfo lists; None where it lists none."""
    parameters = action_info.content.get("Parameters")
    for parameter in parameters if isinstance(parameters, list) else []:
        if text_at(parameter, "Name") == "ResetType":
            return values_in(as_dict(parameter).get("AllowableValues"))
    return None


def choose(machine_id: str, systems: Sequence[System]) -> tuple[System, str]:
    """The machine's System, and what is in doubt about that, in words.

    Args:
        machine_id: its UUID, as its firmware tells it.
        systems: at least one, in the BMC's order.
    """
    same = [system for system in systems if is_same(machine_id, system.uuid)]
    if same:
        return same[0], ""
    if len(systems) == 1:
        told = systems[0].uuid
        words = f"the only System of its BMC has another UUID than the machine: {clean(told)}"
        return systems[0], words if is_another(machine_id, told) else ""
    words = f"none of the {len(systems)} Systems of its BMC has the machine's UUID, so the first is used"
    return systems[0], f"{words}: {clean(systems[0].path)}"


def is_same(machine_id: str, told: str) -> bool:
    """Whether a System's UUID is the machine's, also with the first three groups in the other byte order."""
    wanted, found = _uuid(machine_id), _uuid(told)
    return wanted is not None and found is not None and found.bytes in (wanted.bytes, wanted.bytes_le)


def is_another(machine_id: str, told: str) -> bool:
    """Whether a System's UUID is that of another machine: some tell none, or one that stands for none."""
    found = _uuid(told)
    return found is not None and found.int not in _STAND_FOR_NONE and not is_same(machine_id, told)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def known_of(root: dict[str, Any], system: System | None = None, doubt: str = "") -> Known:
    """What is worth to be remembered. root: the service's root, which tells its vendor before anyone logs in."""
    oem = next((key for key in _OEM_KEYS if key in as_dict(root.get("Oem"))), "")
    said = [system.manufacturer if system else "", clean(text_at(root, "Vendor")), clean(text_at(root, "Product")), oem]
    vendor: list[str] = []
    for name in said:
        if name and not any(name.lower() in other.lower() for other in vendor):
            vendor.append(name)
    path, model = (system.path, system.model) if system else ("", "")
    return Known(BmcKind.REDFISH, path, clean(", ".join(vendor)), model, doubt=doubt)


def text_at(content: Any, *keys: str) -> str:
    """The text under these keys, "" where there is none."""
    for key in keys:
        content = as_dict(content).get(key)
    return content if isinstance(content, str) else ""


def values_in(listed: Any) -> frozenset[str] | None:
    """The texts of a list; None where it is none, or empty: some BMCs forget to fill it."""
    if not isinstance(listed, list):
        return None
    return frozenset(value for value in listed if isinstance(value, str)) or None
