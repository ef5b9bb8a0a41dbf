"""The spec message of each kind."""

from __future__ import annotations

from google.protobuf.message import Message

from app.omni.kinds import Kind
from protos.gen.omni import specs_pb2
from protos.gen.provider import records_pb2

_SPECS: dict[Kind, type[Message]] = {
    Kind.INFRA_MACHINE: specs_pb2.InfraMachineSpec,
    Kind.BMC_CONFIG: specs_pb2.BMCConfigSpec,
    Kind.INFRA_MACHINE_STATUS: specs_pb2.InfraMachineStatusSpec,
    Kind.MACHINE_STATUS: records_pb2.MachineStatusSpec,
    Kind.BMC_CONFIGURATION: records_pb2.BMCConfigurationSpec,
    Kind.POWER_OPERATION: records_pb2.PowerOperationSpec,
    Kind.REBOOT_STATUS: records_pb2.RebootStatusSpec,
    Kind.WIPE_STATUS: records_pb2.WipeStatusSpec,
    Kind.PROVIDER_STATUS: specs_pb2.InfraProviderStatusSpec,
    Kind.PROVIDER_HEALTH_STATUS: specs_pb2.InfraProviderHealthStatusSpec,
    Kind.PROVIDER_JOIN_CONFIG: specs_pb2.ProviderJoinConfigSpec,
    Kind.CONNECTION_PARAMS: specs_pb2.ConnectionParamsSpec,
    Kind.RESOURCE_DEFINITION: specs_pb2.ResourceDefinitionSpec,
    Kind.TLS_CONFIG: records_pb2.TLSConfigSpec,
}


def spec_class(kind: Kind) -> type[Message]:
    """The class of this kind's spec."""
    return _SPECS[kind]
