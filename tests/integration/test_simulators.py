"""BMCs that others wrote, driven by the product's own tasks as Omni wants; looked at by another way than ours."""

import json
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.machine.model import PowerState
from app.omni.kinds import Kind
from tests.free_ports import free_port
from tests.integration.children import wait_until
from tests.integration.simulator_site import OFF, ON, POWER_OFF, POWER_ON, PXE_ARM, REBOOT, SimulatorSite
from tests.integration.simulators import FakeBmc, IpmiSim, SushyEmulator
from tests.required import need

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

# Three sweeps: whatever would ask again with a login that was refused has done so.
QUIET_S = 3
SOON_S = 10
# Each mostly waits, sushy-emulator for up to 11 s with each change of power: so they live side by side, in one site.
SIMULATORS = [IpmiSim, FakeBmc, SushyEmulator]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    SushyEmulator.port = free_port()
    with SimulatorSite(tmp_path_factory.mktemp("site"), SushyEmulator.port) as running:
        yield running


@pytest.fixture(scope="module")
def lives(site):
    """What comes of each simulator that there is."""
    with ThreadPoolExecutor(len(SIMULATORS)) as side_by_side:
        yield {kind: side_by_side.submit(a_life, site, kind) for kind in SIMULATORS if not kind.missing}


@pytest.mark.parametrize("kind", SIMULATORS, ids=lambda kind: kind.name)
def test_foreign_bmc_is_read_armed_and_switched_and_asked_once_with_a_wrong_login(lives, kind):
    need(kind.missing)
    lives[kind].result()


def a_life(site, kind):
    machine_id = str(uuid.uuid4())
    with kind(site.folder / kind.name, machine_id) as bmc:
        site.add(machine_id)
        a_wrong_login_is_tried_once_and_the_right_one_wins(site, bmc)
        wait_s = bmc.power_takes_s * 2 + SOON_S

        site.prefer(machine_id, ON)
        done = site.until_done(machine_id, POWER_ON, 1, wait_s)
        assert done.outcome == "done" and done.words.startswith("powered on, armed to boot from the network"), done
        assert (bmc.told(), bmc.powered_on()) == (["pxe", "on"], True)
        site.until_reported(machine_id, PowerState.ON)

        a_reboot_is_asked_for(site, bmc, wait_s)
        assert "armed to boot from the network" in site.order(machine_id, PXE_ARM)
        assert (bmc.told(), bmc.powered_on()) == (["pxe"], True)

        site.prefer(machine_id, OFF)
        assert site.until_done(machine_id, POWER_OFF, 1, wait_s).outcome == "done"
        assert (bmc.told(), bmc.powered_on()) == (["off"], False)
        site.until_reported(machine_id, PowerState.OFF)

        bmc.switch("on")  # by somebody else: it is read, and Omni wants it off
        assert site.until_done(machine_id, POWER_OFF, 2, wait_s).outcome == "done"
        assert (bmc.told(), bmc.powered_on()) == (["on", "off"], False)


def a_wrong_login_is_tried_once_and_the_right_one_wins(site, bmc):
    machine_id = bmc.machine_id
    site.give_login(machine_id, bmc.login("not this one"))
    wait_until(lambda: (trouble := site.shown(machine_id)["bmc_trouble"]) and trouble["refused"], 30)
    shown = site.shown(machine_id)
    assert "omni-metal retry" in shown["sentence"] and "not this one" not in json.dumps(shown)
    time.sleep(QUIET_S)
    assert bmc.logins() == 1
    site.order(machine_id, POWER_ON)  # a person: so it is asked again, once
    time.sleep(QUIET_S)
    assert bmc.logins() == 2
    assert site.shown(machine_id)["powered_on"] is None
    site.give_login(machine_id, bmc.login())
    wait_until(lambda: site.shown(machine_id)["powered_on"] is False, SOON_S)
    assert site.shown(machine_id)["bmc_trouble"] is None
    assert bmc.told() == []


def a_reboot_is_asked_for(site, bmc, wait_s):
    machine_id = bmc.machine_id
    before = site.record(Kind.REBOOT_STATUS, machine_id).last_reboot_id
    reboot_id = site.omni(lambda omni: omni.request_reboot(machine_id))
    if not bmc.cycles:
        a_reboot_is_refused(site, bmc, before)
        return
    done = site.until_done(machine_id, REBOOT, 1, wait_s)
    assert done.outcome == "done", done
    assert (bmc.told(), bmc.powered_on()) == (["pxe", *bmc.cycled], True)
    assert site.record(Kind.REBOOT_STATUS, machine_id).last_reboot_id == reboot_id


def a_reboot_is_refused(site, bmc, before):
    """Said, and not recorded as done."""
    machine_id = bmc.machine_id
    attempts = wait_until(lambda: [a for a in site.shown(machine_id)["attempts"] if a["operation"] == "reboot"], SOON_S)
    assert "BMC" in attempts[0]["words"], attempts
    assert site.record(Kind.REBOOT_STATUS, machine_id).last_reboot_id == before
    site.omni(lambda omni: omni._change(machine_id, lambda draft: setattr(draft.spec, "requested_reboot_id", before)))
    bmc.told()
