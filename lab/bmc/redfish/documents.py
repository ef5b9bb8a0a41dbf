"""The documents of a virtual Redfish service, as the public schemas have them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lab.bmc.redfish.answers import Document
from lab.bmc.redfish.traits import Traits

ROOT: Final = "/redfish/v1"
SESSION_SERVICE: Final = f"{ROOT}/SessionService"
SESSIONS: Final = f"{SESSION_SERVICE}/Sessions"
SYSTEMS: Final = f"{ROOT}/Systems"
MANAGERS: Final = f"{ROOT}/Managers"
MANAGER: Final = f"{MANAGERS}/BMC"
ALL_CHASSIS: Final = f"{ROOT}/Chassis"
CHASSIS: Final = f"{ALL_CHASSIS}/1"

_HEALTHY: Final = {"State": "Enabled", "Health": "OK"}
_ENABLED: Final = ("Once", "Disabled")
_TARGETS: Final = ("None", "Pxe")


def link(path: str) -> dict[str, str]:
    """A reference to a resource."""
    return {"@odata.id": path}


def versions() -> Document:
    """Which versions of the protocol there are."""
    return {"v1": f"{ROOT}/"}


def service_root(uuid: str, traits: Traits) -> Document:
    """The one document that is read without a login."""
    return {
        "@odata.id": f"{ROOT}/",
        "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot",
        "Id": "RootService",
        "Name": "Root Service",
        "RedfishVersion": "1.17.0",
        "UUID": uuid,
        "Vendor": traits.vendor,
        "Product": f"{traits.model} BMC",
        "ProtocolFeaturesSupported": {
            "FilterQuery": False,
            "SelectQuery": False,
            "OnlyMemberQuery": False,
            "ExcerptQuery": False,
            "ExpandQuery": {"ExpandAll": False, "Levels": False, "Links": False, "NoLinks": False},
        },
        "Systems": link(SYSTEMS),
        "Chassis": link(ALL_CHASSIS),
        "Managers": link(MANAGERS),
        "SessionService": link(SESSION_SERVICE),
        "Links": {"Sessions": link(SESSIONS)},
    }


def service_document() -> Document:
    """The same for programs that know OData alone."""
    names = {"Service": f"{ROOT}/", "Systems": SYSTEMS, "Chassis": ALL_CHASSIS, "Managers": MANAGERS}
    return {
        "@odata.context": f"{ROOT}/$metadata",
        "value": [{"name": name, "kind": "Singleton", "url": path} for name, path in names.items()],
    }


def collection(path: str, kind: str, members: Iterable[str]) -> Document:
    """A list of resources. kind: of the members, as the schema calls it."""
    links = [link(member) for member in members]
    return {
        "@odata.id": path,
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": f"{kind} Collection",
        "Members@odata.count": len(links),
        "Members": links,
    }


def session_service(timeout_s: int) -> Document:
    """How sessions are kept."""
    return {
        "@odata.id": SESSION_SERVICE,
        "@odata.type": "#SessionService.v1_1_8.SessionService",
        "Id": "SessionService",
        "Name": "Session Service",
        "Status": _HEALTHY,
        "ServiceEnabled": True,
        "SessionTimeout": timeout_s,
        "Sessions": link(SESSIONS),
    }


def session(path: str, username: str) -> Document:
    """One session; its token is told once, in a header."""
    return {
        "@odata.id": path,
        "@odata.type": "#Session.v1_6_0.Session",
        "Id": path.rpartition("/")[2],
        "Name": "User Session",
        "UserName": username,
        "Password": None,
    }


def system(path: str, uuid: str, traits: Traits, boot: Document, *, powered_on: bool) -> Document:
    """One machine. boot: what of `Boot` may change."""
    reset: dict[str, object] = {
        "target": f"{path}/Actions/ComputerSystem.Reset",
        "@Redfish.ActionInfo": f"{path}/ResetActionInfo",
    }
    if not traits.reset_types_apart:
        reset["ResetType@Redfish.AllowableValues"] = list(traits.reset_types)
    return {
        "@odata.id": path,
        "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
        "Id": path.rpartition("/")[2],
        "Name": "System",
        "SystemType": "Physical",
        "Manufacturer": traits.vendor,
        "Model": traits.model,
        "SerialNumber": uuid[-12:],
        "UUID": uuid,
        "BiosVersion": traits.firmware,
        "PowerState": "On" if powered_on else "Off",
        "Status": _HEALTHY if powered_on else {"State": "StandbyOffline", "Health": "OK"},
        "Boot": {**boot, **_boot_values(traits)},
        "ProcessorSummary": {"Count": 1, "Model": "Virtual"},
        "MemorySummary": {"TotalSystemMemoryGiB": 16},
        "Links": {"Chassis": [link(CHASSIS)], "ManagedBy": [link(MANAGER)]},
        "Actions": {"#ComputerSystem.Reset": reset},
    }


def _boot_values(traits: Traits) -> Document:
    values = {"Enabled": _ENABLED, "Target": _TARGETS, "Mode": traits.boot_modes}
    return {f"BootSourceOverride{name}@Redfish.AllowableValues": list(those) for name, those in values.items() if those}


def reset_action_info(path: str, traits: Traits) -> Document:
    """What a reset can be, in a document of its own. path: of the System."""
    return {
        "@odata.id": f"{path}/ResetActionInfo",
        "@odata.type": "#ActionInfo.v1_3_0.ActionInfo",
        "Id": "ResetActionInfo",
        "Name": "Reset Action Info",
        "Parameters": [
            {
                "Name": "ResetType",
                "Required": True,
                "DataType": "String",
                "AllowableValues": list(traits.reset_types),
            }
        ],
    }


def manager(uuid: str, traits: Traits, systems: Iterable[str]) -> Document:
    """The BMC itself."""
    return {
        "@odata.id": MANAGER,
        "@odata.type": "#Manager.v1_18_0.Manager",
        "Id": MANAGER.rpartition("/")[2],
        "Name": "Manager",
        "ManagerType": "BMC",
        "Manufacturer": traits.vendor,
        "Model": f"{traits.model} BMC",
        "FirmwareVersion": traits.firmware,
        "UUID": uuid,
        "PowerState": "On",
        "Status": _HEALTHY,
        "Links": {"ManagerForServers": [link(path) for path in systems], "ManagerForChassis": [link(CHASSIS)]},
    }


def chassis(traits: Traits, systems: Iterable[str], *, powered_on: bool) -> Document:
    """What the machines are built into."""
    return {
        "@odata.id": CHASSIS,
        "@odata.type": "#Chassis.v1_23_0.Chassis",
        "Id": CHASSIS.rpartition("/")[2],
        "Name": "Chassis",
        "ChassisType": "RackMount",
        "Manufacturer": traits.vendor,
        "Model": traits.model,
        "PowerState": "On" if powered_on else "Off",
        "Status": _HEALTHY,
        "Links": {"ComputerSystems": [link(path) for path in systems], "ManagedBy": [link(MANAGER)]},
    }
