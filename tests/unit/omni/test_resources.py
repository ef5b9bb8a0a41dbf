from dataclasses import fields
from datetime import UTC, datetime

import pytest

from app.machine import model
from app.machine.model import Acceptance, Ipmi, Machine, Phase, PowerState, PreferredPowerState
from app.omni.kinds import PICTURE_KINDS, Kind
from app.omni.resource import Draft, Resource, blank
from app.omni.resources import attribute, spec_class, to_model

ID = "5d8b1f0e-0000-4000-8000-000000000001"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def _resource(kind, edit=lambda _: None):
    draft = Draft(blank(kind, "bm", ID))
    edit(draft)
    return Resource(kind, draft.build())


@pytest.mark.parametrize("kind", PICTURE_KINDS, ids=lambda k: k.value)
def test_each_kind_of_the_picture_has_its_field_in_machine_and_reads_empty_as_the_defaults(kind):
    part = to_model(_resource(kind))
    assert attribute(kind) in {f.name for f in fields(Machine)}
    assert part == type(part)(meta=part.meta)
    assert part.meta.id == ID


@pytest.mark.parametrize("kind", [k for k in Kind if k not in PICTURE_KINDS], ids=lambda k: k.value)
def test_kind_that_is_no_part_of_the_picture_is_refused(kind):
    with pytest.raises(ValueError, match=kind.value):
        to_model(_resource(kind))


def test_every_kind_has_a_spec_class():
    assert all(spec_class(kind) for kind in Kind)


def test_meta_carries_everything_of_the_metadata():
    raw = _resource(Kind.INFRA_MACHINE).raw
    raw.metadata.version, raw.metadata.phase, raw.metadata.owner = "7", "tearingDown", "InfraMachineController"
    raw.metadata.labels["a"], raw.metadata.annotations["b"] = "1", "2"
    raw.metadata.finalizers.append("bm.X")
    assert to_model(Resource(Kind.INFRA_MACHINE, raw)).meta == model.Meta(
        id=ID,
        version="7",
        created_ns=Resource(Kind.INFRA_MACHINE, raw).created_ns,
        updated_s=Resource(Kind.INFRA_MACHINE, raw).updated_s,
        phase=Phase.TEARING_DOWN,
        owner="InfraMachineController",
        labels={"a": "1"},
        annotations={"b": "2"},
        finalizers=("bm.X",),
    )


def test_infra_machine_carries_every_field():
    values = {
        "cluster_talos_version": "1.13.7",
        "wipe_id": "w",
        "extra_kernel_args": "console=ttyS0",
        "requested_reboot_id": "r",
        "cordoned": True,
        "install_event_id": 2**40,
        "node_unique_token": "t",
        "power_off_request_id": "p",
    }

    def edit(draft):
        draft.spec.preferred_power_state = 1
        draft.spec.acceptance_status = 1
        draft.spec.extensions.append("siderolabs/hello")
        for name, value in values.items():
            setattr(draft.spec, name, value)

    part = to_model(_resource(Kind.INFRA_MACHINE, edit))
    assert part == model.InfraMachine(
        meta=part.meta,
        preferred_power_state=PreferredPowerState.ON,
        acceptance_status=Acceptance.ACCEPTED,
        extensions=("siderolabs/hello",),
        **values,
    )


def test_numbers_of_a_newer_omni_read_as_the_harmless_value():
    def edit(draft):
        draft.spec.preferred_power_state = 7
        draft.spec.acceptance_status = 7

    part = to_model(_resource(Kind.INFRA_MACHINE, edit))
    assert part.preferred_power_state is PreferredPowerState.ON
    assert part.acceptance_status is Acceptance.PENDING


def test_infra_machine_status_carries_every_field():
    def edit(draft):
        spec = draft.spec
        spec.power_state, spec.ready_to_use, spec.installed = 2, True, True
        spec.last_reboot_id, spec.wiped_node_unique_token, spec.last_power_off_id = "r", "t", "p"
        spec.last_reboot_timestamp.FromDatetime(NOON)

    part = to_model(_resource(Kind.INFRA_MACHINE_STATUS, edit))
    assert part == model.InfraMachineStatus(part.meta, PowerState.ON, True, "r", NOON, True, "t", "p")


def test_bmc_config_with_both_parts_carries_them():
    def edit(draft):
        ipmi = draft.spec.config.ipmi
        ipmi.address, ipmi.port, ipmi.username, ipmi.password = "10.0.0.1", 623, "root", "secret"
        draft.spec.config.api.address = "10.0.0.1:80"

    part = to_model(_resource(Kind.BMC_CONFIG, edit))
    assert part == model.BmcConfig(part.meta, Ipmi("10.0.0.1", 623, "root", "secret"), "10.0.0.1:80")
    assert "secret" not in repr(part)


def test_bmc_configuration_with_an_empty_api_part_is_not_without_one():
    part = to_model(_resource(Kind.BMC_CONFIGURATION, lambda d: d.spec.api.SetInParent()))
    assert (part.ipmi, part.api_address) == (None, "")


def test_records_carry_every_field():
    def machine(draft):
        draft.spec.agent_accessible, draft.spec.power_state, draft.spec.initialized = True, 1, True

    def wipe(draft):
        draft.spec.last_wipe_id, draft.spec.last_wipe_install_event_id = "w", 3
        draft.spec.initial_wipe_done, draft.spec.wiped_node_unique_token = True, "t"

    def power(draft):
        draft.spec.last_power_operation, draft.spec.last_power_off_id = 2, "p"
        draft.spec.wipe_id_at_power_off = "w"
        draft.spec.last_power_on_timestamp.FromDatetime(NOON)

    def reboot(draft):
        draft.spec.last_reboot_id = "r"
        draft.spec.last_reboot_timestamp.FromDatetime(NOON)

    part = to_model(_resource(Kind.MACHINE_STATUS, machine))
    assert part == model.MachineStatus(part.meta, True, PowerState.OFF, True)
    part = to_model(_resource(Kind.WIPE_STATUS, wipe))
    assert part == model.WipeStatus(part.meta, "w", 3, True, "t")
    part = to_model(_resource(Kind.POWER_OPERATION, power))
    assert part == model.PowerOperation(part.meta, PowerState.ON, NOON, "p", "w")
    part = to_model(_resource(Kind.REBOOT_STATUS, reboot))
    assert part == model.RebootStatus(part.meta, "r", NOON)


def test_timestamp_beyond_all_dates_reads_as_none():
    part = to_model(_resource(Kind.REBOOT_STATUS, lambda d: setattr(d.spec.last_reboot_timestamp, "seconds", 10**13)))
    assert part.last_reboot_timestamp is None
