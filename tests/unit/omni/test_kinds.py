import pytest

from app.omni.kinds import PICTURE_KINDS, Kind, finalizer, is_finalizer_of

# Omni's own names; a provider that takes over from another must use the same.
PLACES = [
    (Kind.INFRA_MACHINE, "infra-provider", "InfraMachines.omni.sidero.dev", "InfraMachineController"),
    (Kind.BMC_CONFIG, "infra-provider", "BMCConfigs.omni.sidero.dev", "BMCConfigController"),
    (
        Kind.INFRA_MACHINE_STATUS,
        "infra-provider",
        "InfraMachineStatuses.omni.sidero.dev",
        "bm.InfraMachineStatusController",
    ),
    (
        Kind.MACHINE_STATUS,
        "infra-provider:bm",
        "MachineStatus.bm.infraprovider.sidero.dev",
        "bm.MachineStatusController",
    ),
    (
        Kind.BMC_CONFIGURATION,
        "infra-provider:bm",
        "BMCConfiguration.bm.infraprovider.sidero.dev",
        "bm.BMCConfigurationController",
    ),
    (
        Kind.POWER_OPERATION,
        "infra-provider:bm",
        "PowerOperation.bm.infraprovider.sidero.dev",
        "bm.PowerOperationController",
    ),
    (Kind.REBOOT_STATUS, "infra-provider:bm", "RebootStatus.bm.infraprovider.sidero.dev", "bm.RebootStatusController"),
    (Kind.WIPE_STATUS, "infra-provider:bm", "WipeStatus.bm.infraprovider.sidero.dev", "bm.WipeStatusController"),
    (Kind.PROVIDER_STATUS, "infra-provider", "InfraProviderStatuses.omni.sidero.dev", ""),
    (
        Kind.PROVIDER_HEALTH_STATUS,
        "infra-provider-ephemeral",
        "InfraProviderHealthStatuses.omni.sidero.dev",
        "bm.ProviderHealthStatusController",
    ),
    (Kind.PROVIDER_JOIN_CONFIG, "infra-provider", "ProviderJoinConfigs.omni.sidero.dev", ""),
    (Kind.CONNECTION_PARAMS, "default", "ConnectionParams.omni.sidero.dev", ""),
    (Kind.RESOURCE_DEFINITION, "meta", "ResourceDefinitions.meta.cosi.dev", ""),
    (Kind.TLS_CONFIG, "infra-provider:bm", "TLSConfig.bm.infraprovider.sidero.dev", ""),
]


@pytest.mark.parametrize(("kind", "namespace", "type_", "owner"), PLACES, ids=lambda v: getattr(v, "value", None))
def test_each_kind_has_the_place_and_owner_that_omni_knows(kind, namespace, type_, owner):
    assert (kind.namespace("bm"), kind.type("bm"), kind.owner("bm")) == (namespace, type_, owner)


def test_every_kind_has_a_place():
    assert {row[0] for row in PLACES} == set(Kind)


def test_picture_is_made_of_eight_kinds():
    assert len(set(PICTURE_KINDS)) == 8


def test_finalizers_of_this_provider_are_told_from_others():
    assert is_finalizer_of("bm", finalizer("bm"))
    assert is_finalizer_of("bm", "bm.WipeStatusController")
    assert not is_finalizer_of("bm", "bm2.WipeStatusController")
    assert not is_finalizer_of("bm", "InfraMachineController")
