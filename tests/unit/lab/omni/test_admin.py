import asyncio

import pytest

from app.machine.model import Acceptance, Phase, PreferredPowerState
from app.omni.kinds import Kind
from app.omni.resource import Draft, blank
from lab.omni import admin as admin_module
from lab.omni.admin import ACCEPT_PENDING, CLUSTER_LABELS, STATIC_PROVIDER, Admin
from lab.omni.store import Refused, Store
from protos.gen.omni import specs_pb2

ON, OFF = PreferredPowerState.ON, PreferredPowerState.OFF


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def admin(store):
    made = Admin("bm", store)
    draft = Draft(blank(Kind.PROVIDER_STATUS, "bm", "bm"))
    draft.labels[STATIC_PROVIDER] = ""
    store.create(draft.build())
    return made


@pytest.fixture
def accepted(admin):
    """An admin with one accepted machine, within a loop since timers start."""
    admin.join("m")
    admin.accept("m")
    return admin


def _machine(admin):
    return admin.get(Kind.INFRA_MACHINE, "m")


def test_before_the_provider_is_a_static_one_nobody_can_join():
    assert not Admin("bm", Store()).join("m")


def test_machine_that_joins_is_pending_and_wanted_on(admin):
    assert admin.join("m")
    machine = _machine(admin)
    assert machine.spec.acceptance_status == Acceptance.PENDING
    assert machine.spec.preferred_power_state == ON
    assert machine.spec.node_unique_token
    assert ACCEPT_PENDING in machine.labels
    assert machine.owner == "InfraMachineController"


def test_machine_that_joins_again_stays_as_it_is(admin):
    admin.join("m")
    version = _machine(admin).version
    assert admin.join("m")
    assert _machine(admin).version == version


def test_machine_that_joins_with_another_token_gets_it(admin):
    admin.join("m", "one")
    admin.join("m", "two")
    assert _machine(admin).spec.node_unique_token == "two"


def test_no_machine_joins_while_that_is_not_allowed(admin):
    admin.allow_joins(allowed=False)
    assert admin.join("m")
    assert _machine(admin) is None


def test_accepted_machine_loses_the_pending_label_and_cannot_be_rejected(accepted):
    assert _machine(accepted).spec.acceptance_status == Acceptance.ACCEPTED
    assert ACCEPT_PENDING not in _machine(accepted).labels
    with pytest.raises(Refused):
        accepted.reject("m")


def test_rejected_machine_is_rejected(admin):
    admin.join("m")
    admin.reject("m")
    assert _machine(admin).spec.acceptance_status == Acceptance.REJECTED


def test_machine_in_and_out_of_a_cluster_gets_a_new_wipe(accepted):
    accepted.allocate("m", "1.13.7", ["siderolabs/x"], control_plane=True)
    machine = _machine(accepted)
    assert machine.spec.cluster_talos_version == "1.13.7"
    assert list(machine.spec.extensions) == ["siderolabs/x"]
    assert set(CLUSTER_LABELS) & machine.labels.keys() == set(CLUSTER_LABELS) - {"omni.sidero.dev/role-worker"}
    accepted.power_off_request("m")
    wipe_id = accepted.deallocate("m")
    spec = _machine(accepted).spec
    assert (spec.wipe_id, spec.cluster_talos_version, list(spec.extensions)) == (wipe_id, "", [])
    assert spec.power_off_request_id == ""
    assert not set(CLUSTER_LABELS) & _machine(accepted).labels.keys()


def test_power_off_request_outside_a_cluster_is_refused(accepted):
    with pytest.raises(Refused):
        accepted.power_off_request("m")


def test_reboot_cordon_and_boots_show_in_the_machine(accepted):
    reboot_id = accepted.request_reboot("m")
    accepted.cordon("m", True)
    accepted.booted("m")
    accepted.booted("m")
    accepted.booted("unknown")
    spec = _machine(accepted).spec
    assert (spec.requested_reboot_id, spec.cordoned, spec.install_event_id) == (reboot_id, True, 2)


def test_removed_machine_stays_until_its_last_finalizer_is_gone_and_takes_its_bmc_config_along(accepted, store):
    accepted.set_bmc_config("m", specs_pb2.InfraMachineBMCConfigSpec(api={"address": "a:1"}))
    draft = Draft(_machine(accepted))
    draft.finalizers.append("bm.X")
    store.update(draft.build(), "InfraMachineController")
    accepted.remove("m")
    assert _machine(accepted).phase is Phase.TEARING_DOWN
    draft = Draft(_machine(accepted))
    draft.finalizers.clear()
    store.update(draft.build(), "InfraMachineController")
    assert _machine(accepted) is None
    assert accepted.get(Kind.BMC_CONFIG, "m") is None


def test_bmc_config_is_made_changed_and_taken_back(accepted):
    accepted.set_bmc_config("m", specs_pb2.InfraMachineBMCConfigSpec(api={"address": "a:1"}))
    accepted.set_bmc_config("m", specs_pb2.InfraMachineBMCConfigSpec(api={"address": "a:2"}))
    config = accepted.get(Kind.BMC_CONFIG, "m")
    assert (config.spec.config.api.address, config.version) == ("a:2", 2)
    accepted.set_bmc_config("m", None)
    assert accepted.get(Kind.BMC_CONFIG, "m") is None


def _life(monkeypatch, store_and_act):
    """Run `act` in a loop in which information is collected after 10 ms."""
    monkeypatch.setattr(admin_module, "COLLECT_S", 0.01)
    return asyncio.run(store_and_act())


def _joined():
    store = Store()
    admin = Admin("bm", store)
    draft = Draft(blank(Kind.PROVIDER_STATUS, "bm", "bm"))
    draft.labels[STATIC_PROVIDER] = ""
    store.create(draft.build())
    admin.join("m")
    return admin


def _power(admin):
    return _machine(admin).spec.preferred_power_state


def test_machine_connected_for_a_while_is_wanted_off_or_as_asked(monkeypatch):
    async def act():
        admin = _joined()
        admin.accept("m")
        admin.connected("m")
        before = _power(admin)
        await asyncio.sleep(0.05)
        after = _power(admin)
        admin.set_preferred_power("m", ON)
        return before, after, _power(admin)

    assert _life(monkeypatch, act) == (ON, OFF, ON)


def test_machine_that_leaves_too_soon_or_is_not_accepted_stays_wanted_on(monkeypatch):
    async def act():
        admin = _joined()
        admin.connected("m")
        await asyncio.sleep(0.05)
        pending = _power(admin)
        admin.accept("m")
        admin.disconnected("m")
        await asyncio.sleep(0.05)
        left = _power(admin)
        admin.set_preferred_power("m", OFF)
        return pending, left, _power(admin)

    assert _life(monkeypatch, act) == (ON, ON, ON)
