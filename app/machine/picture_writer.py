"""Write a picture as JSON (docs/explain.md), without secrets: what `explain` decides on it is the same.

A token shows only whether it is there. A BMC password shows only whether the one in use is the one that a user gave.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from app.machine.bmc_login import user_login
from app.machine.model import BmcConfig, BmcConfiguration, DecideOptions, Ipmi, Machine

HIDDEN = "redacted"
HIDDEN_OTHER = "redacted, not the one that a user gave"
# No decision looks at the unique token of the node itself.
_LEFT_OUT = frozenset({"meta", "node_unique_token"})
_TOKENS = frozenset({"wiped_node_unique_token"})


def picture_json(machine: Machine, options: DecideOptions) -> dict[str, Any]:
    """The picture as a line of `explain`'s input, before it is made text."""
    picture: dict[str, Any] = {
        "now": _time(machine.now),
        "options": {
            "min_reboot_interval_s": options.min_reboot_interval_s,
            "ipmi_pxe_boot_mode": options.pxe_boot_mode,
        },
        "facts": {
            "powered_on": machine.facts.powered_on,
            "agent_accessible": machine.facts.agent_accessible,
        },
    }
    if machine.facts.clock_stepped:
        picture["facts"]["clock_stepped"] = _time(machine.facts.clock_stepped)
    if machine.facts.login_refused:
        picture["facts"]["login_refused"] = True
    logins = {
        "bmc_config": _config_spec(machine.bmc_config),
        "bmc_configuration": _configuration_spec(machine.bmc_configuration, machine.bmc_config),
    }
    for name in _resource_names():
        resource = getattr(machine, name)
        picture[name] = None if resource is None else _resource(resource, logins.get(name))
    return picture


def _resource_names() -> list[str]:
    return [f.name for f in fields(Machine) if f.name not in ("id", "now", "facts")]


def _resource(resource: Any, spec: Mapping[str, Any] | None) -> dict[str, Any]:
    meta = resource.meta
    return {
        "id": meta.id,
        "phase": meta.phase.value,
        "labels": dict(meta.labels),
        "spec": _spec(resource) if spec is None else spec,
    }


def _spec(resource: Any) -> dict[str, Any]:
    """All fields that are set."""
    names = [f.name for f in fields(resource) if f.name not in _LEFT_OUT]
    values = {name: getattr(resource, name) for name in names}
    return {name: HIDDEN if name in _TOKENS else _value(value) for name, value in values.items() if value}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, enum.Enum):
        return value.name
    return list(value) if isinstance(value, tuple) else value


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _config_spec(config: BmcConfig | None) -> dict[str, Any]:
    return {"config": _login(config.ipmi, config.api_address, HIDDEN)} if config else {}


def _configuration_spec(used: BmcConfiguration | None, config: BmcConfig | None) -> dict[str, Any]:
    if used is None:
        return {}
    wanted = user_login(config)
    given = wanted.ipmi.password if wanted and wanted.ipmi else ""
    same = used.ipmi is not None and used.ipmi.password == given
    spec = _login(used.ipmi, used.api_address, HIDDEN if same else HIDDEN_OTHER)
    return {**spec, "manually_configured": True} if used.manually_configured else spec


def _login(ipmi: Ipmi | None, api_address: str | None, password: str) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if ipmi is not None:
        spec["ipmi"] = {"address": ipmi.address, "port": ipmi.port, "username": ipmi.username}
        if ipmi.password:
            spec["ipmi"]["password"] = password
    if api_address is not None:
        spec["api"] = {"address": api_address}
    return spec
