"""From Omni's resources to the picture of a machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from app.machine.model import (
    Acceptance,
    BmcConfig,
    BmcConfiguration,
    InfraMachine,
    InfraMachineStatus,
    Ipmi,
    MachineStatus,
    Meta,
    PowerOperation,
    PowerState,
    PreferredPowerState,
    RebootStatus,
    WipeStatus,
)
from app.omni.kinds import PICTURE_KINDS, Kind
from app.omni.resource import Resource
from app.omni.specs import spec_class

__all__ = ["Part", "attribute", "spec_class", "to_model"]

Part = (
    InfraMachine
    | InfraMachineStatus
    | BmcConfig
    | BmcConfiguration
    | MachineStatus
    | WipeStatus
    | PowerOperation
    | RebootStatus
)
_Number = TypeVar("_Number", bound=IntEnum)


def attribute(kind: Kind) -> str:
    """The field of `Machine` in which a resource of this kind stands."""
    if kind not in PICTURE_KINDS:
        raise ValueError(f"{kind.value} is no part of a machine's picture")
    return kind.value


def to_model(resource: Resource) -> Part:
    """The resource as a part of a machine's picture."""
    attribute(resource.kind)
    return _MODELS[resource.kind](_meta(resource), resource.spec)


def _meta(resource: Resource) -> Meta:
    return Meta(
        id=resource.id,
        version=str(resource.version),
        created_ns=resource.created_ns,
        updated_s=resource.updated_s,
        phase=resource.phase,
        owner=resource.owner,
        labels=resource.labels,
        annotations=resource.annotations,
        finalizers=resource.finalizers,
    )


def _infra_machine(meta: Meta, spec: Any) -> InfraMachine:
    return InfraMachine(
        meta=meta,
        # What a newer Omni may want is not known; OFF would be the dangerous guess.
        preferred_power_state=_number(PreferredPowerState, spec.preferred_power_state, PreferredPowerState.ON),
        acceptance_status=_number(Acceptance, spec.acceptance_status, Acceptance.PENDING),
        cluster_talos_version=spec.cluster_talos_version,
        extensions=tuple(spec.extensions),
        wipe_id=spec.wipe_id,
        extra_kernel_args=spec.extra_kernel_args,
        requested_reboot_id=spec.requested_reboot_id,
        cordoned=spec.cordoned,
        install_event_id=spec.install_event_id,
        node_unique_token=spec.node_unique_token,
        power_off_request_id=spec.power_off_request_id,
    )


def _infra_machine_status(meta: Meta, spec: Any) -> InfraMachineStatus:
    return InfraMachineStatus(
        meta=meta,
        power_state=_power(spec.power_state),
        ready_to_use=spec.ready_to_use,
        last_reboot_id=spec.last_reboot_id,
        last_reboot_timestamp=_time(spec, "last_reboot_timestamp"),
        installed=spec.installed,
        wiped_node_unique_token=spec.wiped_node_unique_token,
        last_power_off_id=spec.last_power_off_id,
    )


def _bmc_config(meta: Meta, spec: Any) -> BmcConfig:
    return BmcConfig(meta=meta, ipmi=_ipmi(spec.config), api_address=_api_address(spec.config))


def _bmc_configuration(meta: Meta, spec: Any) -> BmcConfiguration:
    return BmcConfiguration(
        meta=meta,
        ipmi=_ipmi(spec),
        api_address=_api_address(spec),
        manually_configured=spec.manually_configured,
    )


def _machine_status(meta: Meta, spec: Any) -> MachineStatus:
    return MachineStatus(
        meta=meta,
        agent_accessible=spec.agent_accessible,
        power_state=_power(spec.power_state),
        initialized=spec.initialized,
    )


def _wipe_status(meta: Meta, spec: Any) -> WipeStatus:
    return WipeStatus(
        meta=meta,
        last_wipe_id=spec.last_wipe_id,
        last_wipe_install_event_id=spec.last_wipe_install_event_id,
        initial_wipe_done=spec.initial_wipe_done,
        wiped_node_unique_token=spec.wiped_node_unique_token,
    )


def _power_operation(meta: Meta, spec: Any) -> PowerOperation:
    return PowerOperation(
        meta=meta,
        last_power_operation=_power(spec.last_power_operation),
        last_power_on_timestamp=_time(spec, "last_power_on_timestamp"),
        last_power_off_id=spec.last_power_off_id,
        wipe_id_at_power_off=spec.wipe_id_at_power_off,
    )


def _reboot_status(meta: Meta, spec: Any) -> RebootStatus:
    return RebootStatus(
        meta=meta,
        last_reboot_id=spec.last_reboot_id,
        last_reboot_timestamp=_time(spec, "last_reboot_timestamp"),
    )


_MODELS: dict[Kind, Callable[[Meta, Any], Part]] = {
    Kind.INFRA_MACHINE: _infra_machine,
    Kind.INFRA_MACHINE_STATUS: _infra_machine_status,
    Kind.BMC_CONFIG: _bmc_config,
    Kind.BMC_CONFIGURATION: _bmc_configuration,
    Kind.MACHINE_STATUS: _machine_status,
    Kind.WIPE_STATUS: _wipe_status,
    Kind.POWER_OPERATION: _power_operation,
    Kind.REBOOT_STATUS: _reboot_status,
}


def _ipmi(part: Any) -> Ipmi | None:
    if not part.HasField("ipmi"):
        return None
    ipmi = part.ipmi
    return Ipmi(address=ipmi.address, port=ipmi.port, username=ipmi.username, password=ipmi.password)


def _api_address(part: Any) -> str | None:
    return part.api.address if part.HasField("api") else None


def _power(value: int) -> PowerState:
    return _number(PowerState, value, PowerState.UNKNOWN)


def _number(kind: type[_Number], value: int, otherwise: _Number) -> _Number:
    """Omni may be newer than we are: a number that we do not know reads as `otherwise`."""
    try:
        return kind(value)
    except ValueError:
        return otherwise


def _time(spec: Any, name: str) -> datetime | None:
    """A timestamp; None where it is absent, or beyond what a datetime can hold."""
    if not spec.HasField(name):
        return None
    stamp: Timestamp = getattr(spec, name)
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
