"""The kinds of resources that we deal with, and where they are in Omni: namespace, type and owner."""

from __future__ import annotations

import enum
from dataclasses import dataclass

SHARED = "infra-provider"
EPHEMERAL = "infra-provider-ephemeral"
DEFAULT = "default"
META = "meta"


class Kind(enum.Enum):
    """A kind of resource. The value is a short name for keys and logs."""

    INFRA_MACHINE = "infra_machine"
    BMC_CONFIG = "bmc_config"
    INFRA_MACHINE_STATUS = "infra_machine_status"
    MACHINE_STATUS = "machine_status"
    BMC_CONFIGURATION = "bmc_configuration"
    POWER_OPERATION = "power_operation"
    REBOOT_STATUS = "reboot_status"
    WIPE_STATUS = "wipe_status"
    PROVIDER_STATUS = "provider_status"
    PROVIDER_HEALTH_STATUS = "provider_health_status"
    PROVIDER_JOIN_CONFIG = "provider_join_config"
    CONNECTION_PARAMS = "connection_params"
    RESOURCE_DEFINITION = "resource_definition"
    TLS_CONFIG = "tls_config"

    def namespace(self, provider_id: str) -> str:
        """The namespace that it is in: a shared one, or the provider's own."""
        return _PLACES[self].namespace or f"{SHARED}:{provider_id}"

    def type(self, provider_id: str) -> str:
        """Its resource type."""
        place = _PLACES[self]
        suffix = place.suffix if place.namespace else f"{provider_id}.infraprovider.sidero.dev"
        return f"{place.name}.{suffix}"

    def owner(self, provider_id: str) -> str:
        """The owner that such a resource is created with; '' where it has none."""
        place = _PLACES[self]
        return f"{provider_id}.{place.controller}" if place.ours and place.controller else place.controller


@dataclass(frozen=True, slots=True)
class _Place:
    """namespace: '' is the provider's own. controller: the owner, with our id before it where `ours`."""

    name: str
    namespace: str = ""
    controller: str = ""
    ours: bool = True
    suffix: str = "omni.sidero.dev"


_PLACES = {
    Kind.INFRA_MACHINE: _Place("InfraMachines", SHARED, "InfraMachineController", ours=False),
    Kind.BMC_CONFIG: _Place("BMCConfigs", SHARED, "BMCConfigController", ours=False),
    Kind.INFRA_MACHINE_STATUS: _Place("InfraMachineStatuses", SHARED, "InfraMachineStatusController"),
    Kind.MACHINE_STATUS: _Place("MachineStatus", controller="MachineStatusController"),
    Kind.BMC_CONFIGURATION: _Place("BMCConfiguration", controller="BMCConfigurationController"),
    Kind.POWER_OPERATION: _Place("PowerOperation", controller="PowerOperationController"),
    Kind.REBOOT_STATUS: _Place("RebootStatus", controller="RebootStatusController"),
    Kind.WIPE_STATUS: _Place("WipeStatus", controller="WipeStatusController"),
    Kind.PROVIDER_STATUS: _Place("InfraProviderStatuses", SHARED),
    Kind.PROVIDER_HEALTH_STATUS: _Place("InfraProviderHealthStatuses", EPHEMERAL, "ProviderHealthStatusController"),
    Kind.PROVIDER_JOIN_CONFIG: _Place("ProviderJoinConfigs", SHARED, ours=False),
    Kind.CONNECTION_PARAMS: _Place("ConnectionParams", DEFAULT, ours=False),
    Kind.RESOURCE_DEFINITION: _Place("ResourceDefinitions", META, ours=False, suffix="meta.cosi.dev"),
    Kind.TLS_CONFIG: _Place("TLSConfig"),
}

# What makes up the picture of a machine.
PICTURE_KINDS = (
    Kind.INFRA_MACHINE,
    Kind.BMC_CONFIG,
    Kind.INFRA_MACHINE_STATUS,
    Kind.MACHINE_STATUS,
    Kind.BMC_CONFIGURATION,
    Kind.POWER_OPERATION,
    Kind.REBOOT_STATUS,
    Kind.WIPE_STATUS,
)

# All that a boot script depends on, beside whether there is a BMC_CONFIGURATION: a test proves it. The status counts
# only where there is no WIPE_STATUS, which comes first for that.
BOOT_KINDS = (Kind.WIPE_STATUS, Kind.INFRA_MACHINE, Kind.INFRA_MACHINE_STATUS)


def finalizer(provider_id: str) -> str:
    """The one finalizer that we put on a machine."""
    return f"{provider_id}.MachineStatusController"


def is_finalizer_of(provider_id: str, name: str) -> bool:
    """Whether a finalizer belongs to this provider, whichever program put it there."""
    return name.startswith(f"{provider_id}.")
