import argparse

import pytest

from lab.bmc import fleet
from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import Button
from lab.bmc.fleet import Fleet, FleetKind, FleetMachine, main

KIND = FleetKind("fleet", 6230, VirtualApiBmc, lambda host, port: None)
USUAL = {
    "machines": 4, "silent": 0.5, "base_address": "127.78.0.254", "port": 6230, "latency_s": 0.1, "seed": "0",
    "faults": "explicit=0.2", "username": "admin", "password": "admin", "tell_presses": False,
}


def made(**given):
    return Fleet(KIND, argparse.Namespace(**USUAL | given))


def test_addresses_follow_one_another_and_a_share_is_silent():
    several = made()

    assert several.addresses == ["127.78.0.254", "127.78.0.255", "127.78.1.0", "127.78.1.1"]
    assert len(several.silent) == 2
    assert several.silent | several.bmcs.keys() == set(several.addresses)


def test_same_seed_leaves_the_same_ones_silent():
    assert made(machines=100).silent == made(machines=100).silent != made(machines=100, seed="1").silent


def test_latency_and_faults_are_those_that_were_asked_for():
    (bmc, *_) = made().bmcs.values()

    assert (bmc.status_delay_s, bmc.dice.odds.explicit) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--machines=0", "--machines: one or more"),
        ("--silent=1.5", "--silent: a share from 0 to 1"),
        ("--base-address=nowhere", "'nowhere' does not appear to be an IPv4 or IPv6 address"),
        ("--faults=rain=1", "'rain=1' is no NAME=NUMBER"),
    ],
)
def test_option_that_is_out_of_bounds_is_named(option, words, capsys):
    with pytest.raises(SystemExit):
        main(KIND, [option])

    assert words in capsys.readouterr().err


def test_counts_are_those_of_all_bmcs_together():
    several = made()
    for bmc in several.bmcs.values():
        bmc.ledger.called("status")
        bmc.ledger.pressed(Button.REBOOT)
        bmc.ledger.login(accepted=True)
        bmc.ledger.user_came("a")

    counts = several.counts()

    assert (counts["calls"], counts["executed"]) == ({"status": 2}, {"reboot": 2})
    assert (counts["logins"], counts["most_users"]) == (2, 1)


@pytest.mark.parametrize(
    ("buttons", "powered_on", "armed"),
    [
        ([Button.POWER_ON], True, False),
        ([Button.PXE_BOOT], False, True),
        ([Button.PXE_BOOT, Button.REBOOT], False, True),
        ([Button.PXE_BOOT, Button.POWER_ON], True, False),
        ([Button.POWER_ON, Button.PXE_BOOT, Button.POWER_ON], True, True),
        ([Button.POWER_ON, Button.PXE_BOOT, Button.REBOOT], True, False),
        ([Button.POWER_ON, Button.POWER_OFF], False, False),
    ],
)
def test_machine_of_a_fleet_does_what_its_buttons_say(buttons, powered_on, armed):
    machine = FleetMachine(fleet.machine_id(0))
    for button in buttons:
        machine.commanded(button)

    assert (machine.powered_on, machine.armed) == (powered_on, armed)
    assert machine.presses.total() == len(buttons)
