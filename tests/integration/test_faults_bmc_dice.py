"""Two hundred BMCs that refuse, lie and lose packets: each machine gets its power, and no BMC is harmed."""

import sys
import time
import uuid

import pytest

from app.machine.model import PreferredPowerState
from app.omni.kinds import Kind
from lab.bmc.chassis import BmcKind, Button
from lab.bmc.dice import Odds
from tests.integration.dice_site import DiceSite

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

MACHINES = 200
ODDS = Odds(explicit=0.1, silent=0.1, packet_loss=0.03)
STATE_LIMIT_S = 120
# Of BMCs that know the login: refusals after which it is not tried again.
CONFIRMED = 3
LOCKED = 12
# Sweeps that come by meanwhile: three.
QUIET_S = 6


def test_machines_of_failing_bmcs_reach_the_wanted_power_and_each_request_resets_once_at_most(survived):
    with DiceSite(MACHINES, ODDS) as site:
        prefer(site, PreferredPowerState.ON)
        on_s = site.until(lambda bmc: bmc.machine.powered_on, site.bmcs, STATE_LIMIT_S, "on")
        a_reboot_each(site)
        locked = a_login_that_stops_working(site)
        prefer(site, PreferredPowerState.OFF)
        others = [bmc for bmc in site.bmcs if bmc not in locked]
        off_s = site.until(lambda bmc: not bmc.machine.powered_on, others, STATE_LIMIT_S, "off")
        assert all(bmc.machine.powered_on for bmc in locked)
        assert {bmc: bmc.logins_tried for bmc in locked} == locked
        for bmc in locked:
            site.give_login(bmc, "another")
        site.until(lambda bmc: not bmc.machine.powered_on, locked, STATE_LIMIT_S, "off with the new login")
        site.until(lambda bmc: not bmc.ledger.sessions and not bmc.ledger.users, site.bmcs, 10, "left alone")
        resets = what_the_bmcs_saw(site)
    fault = f"{MACHINES} BMCs of three kinds, of which 10 % refuse a command, 10 % lie about it, and 3 % lose a packet"
    outcome = f"all on in {on_s:.0f} s, all off in {off_s:.0f} s, resets {resets}, none twice"
    survived(fault, "power-ons, a reboot of each, power-offs", outcome)


def prefer(site, state):
    for bmc in site.bmcs:
        site.change(bmc, "preferred_power_state", state)


def a_reboot_each(site):
    wanted = {bmc.id: str(uuid.uuid4()) for bmc in site.bmcs}
    for bmc in site.bmcs:
        site.change(bmc, "requested_reboot_id", wanted[bmc.id])

    def recorded(bmc):
        return site.record(Kind.REBOOT_STATUS, bmc).last_reboot_id == wanted[bmc.id]

    site.until(recorded, site.bmcs, STATE_LIMIT_S, "reboot recorded")


def a_login_that_stops_working(site):
    """The BMCs of which it did, whose machines stay on, and how often a login was tried there by then."""
    locked = [bmc for bmc in site.bmcs if bmc.kind is not BmcKind.API][:LOCKED]
    for bmc in locked:
        site.set_login(bmc, "another")
    site.until(site.said_refused, locked, 30, "refused for good")
    tried = {bmc: bmc.logins_tried for bmc in locked}
    time.sleep(QUIET_S)
    assert {bmc: bmc.logins_tried for bmc in locked} == tried
    return tried


def what_the_bmcs_saw(site):
    """How many resets there were; what no BMC may ever see is looked for."""
    ledgers = [bmc.ledger for bmc in site.bmcs]
    resets = [ledger.executed[Button.REBOOT] for ledger in ledgers]
    assert max(resets) == 1
    assert sum(resets) > MACHINES / 2
    assert sum(ledger.calls[f"resent {button.value}"] for ledger in ledgers for button in Button) == 0
    assert max(ledger.most_users for ledger in ledgers) == 1
    assert 1 <= max(ledger.most_refused_in_a_row for ledger in ledgers) <= CONFIRMED
    assert sum(ledger.graceful_resets for ledger in ledgers) == 0
    assert sum(ledger.sessions_expired for ledger in ledgers) == 0
    return sum(resets)
