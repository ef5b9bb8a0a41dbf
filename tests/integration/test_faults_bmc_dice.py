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
# Refusals whose answers were lost: the BMC has counted them, and nobody has heard of them.
UNHEARD = 3
LOCKED = 12
# Less than the minute that BMCs give, so that a slot that was not given back shows while the test still runs.
SLOT_EXPIRES_S = 20.0
LEFT_S = SLOT_EXPIRES_S + 5
# Where three packets in a hundred are lost, so are four in a row (a last command, and thrice the end of the session) in
# one session of a million.
MOST_SLOTS_EXPIRED = 1


def test_machines_of_failing_bmcs_reach_the_wanted_power_and_each_request_resets_once_at_most(survived, monkeypatch):
    monkeypatch.setattr("lab.bmc.ipmi.sessions.SESSION_S", SLOT_EXPIRES_S)
    with DiceSite(MACHINES, ODDS) as site:
        began_s = time.monotonic()
        prefer(site, PreferredPowerState.ON)
        locked = [bmc for bmc in site.bmcs if bmc.kind is not BmcKind.API][:LOCKED]
        others = [bmc for bmc in site.bmcs if bmc not in locked]
        site.until(is_on, locked, STATE_LIMIT_S, "on")
        a_reboot_each(site, locked)
        tried = logins_that_stop_working(site, locked)
        site.until(is_on, others, STATE_LIMIT_S, "on")
        on_s = time.monotonic() - began_s
        a_reboot_each(site, others)
        prefer(site, PreferredPowerState.OFF)
        off_s = site.until(is_off, others, STATE_LIMIT_S, "off")
        # All the while none of those that are locked was asked.
        assert all(bmc.machine.powered_on for bmc in locked)
        assert {bmc: bmc.logins_tried for bmc in locked} == tried
        for bmc in locked:
            site.give_login(bmc, "another")
        site.until(is_off, locked, STATE_LIMIT_S, "off with the new login")
        site.until(lambda bmc: not bmc.ledger.sessions and not bmc.ledger.users, site.bmcs, LEFT_S, "left alone")
        resets = what_the_bmcs_saw(site)
    fault = f"{MACHINES} BMCs of three kinds, of which 10 % refuse a command, 10 % lie about it, and 3 % lose a packet"
    outcome = f"all on in {on_s:.0f} s, all off in {off_s:.0f} s, resets {resets}, none twice"
    survived(fault, "power-ons, a reboot of each, power-offs", outcome)


def prefer(site, state):
    for bmc in site.bmcs:
        site.change(bmc, "preferred_power_state", state)


def is_on(bmc):
    return bmc.machine.powered_on


def is_off(bmc):
    return not bmc.machine.powered_on


def a_reboot_each(site, bmcs):
    wanted = {bmc.id: str(uuid.uuid4()) for bmc in bmcs}
    for bmc in bmcs:
        site.change(bmc, "requested_reboot_id", wanted[bmc.id])

    def recorded(bmc):
        return site.record(Kind.REBOOT_STATUS, bmc).last_reboot_id == wanted[bmc.id]

    site.until(recorded, bmcs, STATE_LIMIT_S, "reboot recorded")


def logins_that_stop_working(site, bmcs):
    """How often a login was tried at each of these until it was refused for good."""
    for bmc in bmcs:
        site.set_login(bmc, "another")
    site.until(site.said_refused, bmcs, 30, "refused for good")
    return {bmc: bmc.logins_tried for bmc in bmcs}


def what_the_bmcs_saw(site):
    """How many resets there were; what no BMC may ever see is looked for."""
    ledgers = [bmc.ledger for bmc in site.bmcs]
    resets = [ledger.executed[Button.REBOOT] for ledger in ledgers]
    assert max(resets) == 1
    assert sum(resets) > MACHINES / 2
    assert sum(ledger.calls[f"resent {button.value}"] for ledger in ledgers for button in Button) == 0
    assert max(ledger.most_users for ledger in ledgers) == 1
    worst = max(site.bmcs, key=lambda bmc: bmc.ledger.most_refused_in_a_row)
    assert 1 <= worst.ledger.most_refused_in_a_row <= CONFIRMED + UNHEARD, f"{worst.kind}\n{site.last_words(worst)}"
    assert sum(ledger.graceful_resets for ledger in ledgers) == 0
    assert sum(ledger.sessions_expired for ledger in ledgers) == 0
    assert sum(ledger.logins for ledger in ledgers) > 1000
    assert sum(ledger.slots_expired for ledger in ledgers) <= MOST_SLOTS_EXPIRED
    return sum(resets)
