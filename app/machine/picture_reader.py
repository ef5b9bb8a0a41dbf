"""Read a picture from its JSON form (docs/explain.md) into the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from app.machine import model
from app.machine.errors import PictureInvalid
from app.machine.picture_fields import (
    Reader,
    choice,
    enum_of,
    flag,
    flag_or_null,
    labels,
    read_object,
    seconds,
    secret,
    text,
    texts,
    timestamp,
    timestamp_or_null,
    whole_number,
)

_power_state = enum_of(model.PowerState)
_IPMI: Final[Mapping[str, Reader]] = {
    "address": text,
    "port": whole_number(32),
    "username": text,
    "password": secret,
}
_API: Final[Mapping[str, Reader]] = {"address": text}


@dataclass(frozen=True, slots=True)
class Picture:
    """A machine with the options to decide with, and the id that the answer carries."""

    id: str | None
    machine: model.Machine
    options: model.DecideOptions


def read_picture(line: str) -> Picture:
    """Read one line. Raises PictureInvalid."""
    try:
        parsed = json.loads(line, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise PictureInvalid(f"broken JSON at column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise PictureInvalid(f"broken JSON: {error}") from None
    except RecursionError:
        raise PictureInvalid("broken JSON: it is nested too deeply") from None
    found = read_object(parsed, "", _PICTURE)
    if "now" not in found:
        raise PictureInvalid("now: it is required")
    resources = {name: found.get(name) for name in _RESOURCES}
    ids = (resource.meta.id for resource in resources.values() if resource is not None)
    picture_id = next((i for i in ids if i), None)
    facts = _facts(found.get("facts", {}), resources["machine_status"])
    machine = model.Machine(id=picture_id or "", now=found["now"], facts=facts, **resources)
    return Picture(picture_id, machine, model.DecideOptions(**found.get("options", {})))


def _no_constant(name: str) -> NoReturn:
    raise PictureInvalid(f"broken JSON: {name} is no number")


def _facts(given: Mapping[str, Any], status: model.MachineStatus | None) -> model.Facts:
    """What is given; where nothing is, what the record says."""
    recorded = status or model.MachineStatus()
    power = {model.PowerState.ON: True, model.PowerState.OFF: False}.get(recorded.power_state)
    return model.Facts(
        powered_on=given.get("powered_on", power),
        agent_accessible=given.get("agent_accessible", recorded.agent_accessible),
        clock_stepped=given.get("clock_stepped"),
        login_refused=given.get("login_refused", False),
    )


def _object(readers: Mapping[str, Reader]) -> Reader:
    def read(value: Any, where: str) -> dict[str, Any]:
        return read_object(value, where, readers)

    return read


def _options(value: Any, where: str) -> dict[str, Any]:
    readers = {"min_reboot_interval_s": seconds, "ipmi_pxe_boot_mode": choice("uefi", "bios")}
    names = {"ipmi_pxe_boot_mode": "pxe_boot_mode"}
    return {names.get(key, key): content for key, content in read_object(value, where, readers).items()}


def _ipmi(value: Any, where: str) -> model.Ipmi | None:
    return None if value is None else model.Ipmi(**read_object(value, where, _IPMI))


def _api(value: Any, where: str) -> str | None:
    return None if value is None else read_object(value, where, _API).get("address", "")


def _phase(value: Any, where: str) -> model.Phase:
    return model.Phase(choice(*model.Phase)(value, where))


def _resource(make: Callable[..., Any], spec: Mapping[str, Reader]) -> Reader:
    """A resource of this kind, or null where it does not exist."""
    readers = {"id": text, "phase": _phase, "labels": labels, "spec": _object(spec)}

    def read(value: Any, where: str) -> Any:
        if value is None:
            return None
        found = read_object(value, where, readers)
        content = found.pop("spec", {})
        return make(meta=model.Meta(**found), **content)

    return read


def _bmc_config(meta: model.Meta, config: Mapping[str, Any] | None = None) -> model.BmcConfig:
    return model.BmcConfig(meta=meta, **_login(config or {}))


def _bmc_configuration(meta: model.Meta, **spec: Any) -> model.BmcConfiguration:
    return model.BmcConfiguration(meta=meta, **_login(spec))


def _login(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {("api_address" if key == "api" else key): content for key, content in spec.items()}


def _object_or_null(readers: Mapping[str, Reader]) -> Reader:
    def read(value: Any, where: str) -> dict[str, Any] | None:
        return None if value is None else read_object(value, where, readers)

    return read


# In the order in which an id is looked for.
_RESOURCES: Final[Mapping[str, Reader]] = {
    "infra_machine": _resource(
        model.InfraMachine,
        {
            "preferred_power_state": enum_of(model.PreferredPowerState),
            "acceptance_status": enum_of(model.Acceptance),
            "cluster_talos_version": text,
            "extensions": texts,
            "wipe_id": text,
            "extra_kernel_args": text,
            "requested_reboot_id": text,
            "cordoned": flag,
            "install_event_id": whole_number(64),
            "node_unique_token": secret,
            "power_off_request_id": text,
        },
    ),
    "infra_machine_status": _resource(
        model.InfraMachineStatus,
        {
            "power_state": _power_state,
            "ready_to_use": flag,
            "last_reboot_id": text,
            "last_reboot_timestamp": timestamp_or_null,
            "installed": flag,
            "wiped_node_unique_token": secret,
            "last_power_off_id": text,
        },
    ),
    "bmc_config": _resource(_bmc_config, {"config": _object_or_null({"ipmi": _ipmi, "api": _api})}),
    "bmc_configuration": _resource(_bmc_configuration, {"ipmi": _ipmi, "api": _api, "manually_configured": flag}),
    "machine_status": _resource(
        model.MachineStatus,
        {
            "agent_accessible": flag,
            "power_state": _power_state,
            "initialized": flag,
        },
    ),
    "wipe_status": _resource(
        model.WipeStatus,
        {
            "last_wipe_id": text,
            "last_wipe_install_event_id": whole_number(64),
            "initial_wipe_done": flag,
            "wiped_node_unique_token": secret,
        },
    ),
    "power_operation": _resource(
        model.PowerOperation,
        {
            "last_power_operation": _power_state,
            "last_power_on_timestamp": timestamp_or_null,
            "last_power_off_id": text,
            "wipe_id_at_power_off": text,
        },
    ),
    "reboot_status": _resource(
        model.RebootStatus,
        {
            "last_reboot_id": text,
            "last_reboot_timestamp": timestamp_or_null,
        },
    ),
}

_PICTURE: Final[Mapping[str, Reader]] = {
    "now": timestamp,
    "options": _options,
    "facts": _object(
        {
            "powered_on": flag_or_null,
            "agent_accessible": flag_or_null,
            "clock_stepped": timestamp_or_null,
            "login_refused": flag,
        }
    ),
    **_RESOURCES,
}
