"""The Redfish client and the lab's Redfish BMC, which fails by dice: what the client says of each command is so."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.machine.model import Ipmi
from config.settings import Settings
from lab.bmc.chassis import Button
from lab.bmc.dice import Dice, Odds
from lab.bmc.fleet import FleetMachine, machine_id
from lab.bmc.redfish.server import VirtualRedfishBmc
from lab.omni.certificates import make_certificate
from workers.bmc.errors import BmcAuthenticationFailed, BmcError
from workers.bmc.redfish import arming, service
from workers.bmc.redfish.session import open_redfish

pytestmark = pytest.mark.integration

USER, PASSWORD = "operator", "secret"
LIMIT_S = 30
ODDS = Odds.parse(
    "explicit=0.15,silent=0.1,wrong-state=0.1,drop-after=0.15,unauthorized=0.15,busy=0.1,packet-loss=0.05"
)
BUTTONS = {"power_on": Button.POWER_ON, "power_off": Button.POWER_OFF, "reboot": Button.REBOOT}
COMMANDS = 240


@pytest.fixture
def bmc():
    machine = FleetMachine(machine_id(0))
    bmc = VirtualRedfishBmc(machine, machine.machine_id, Dice(ODDS, 7), certificate=make_certificate("127.0.0.1"))
    bmc.set_login(USER, PASSWORD)
    with ThreadPoolExecutor(1) as pool, asyncio.Runner() as runner:
        loop = runner.get_loop()
        running = pool.submit(loop.run_forever)
        asyncio.run_coroutine_threadsafe(bmc.serve(), loop).result(LIMIT_S)
        try:
            yield bmc
        finally:
            asyncio.run_coroutine_threadsafe(bmc.stop(), loop).result(LIMIT_S)
            loop.call_soon_threadsafe(loop.stop)
            running.result(LIMIT_S)


def test_no_command_is_carried_out_twice_or_told_as_not_done_when_it_was(bmc, monkeypatch):
    monkeypatch.setattr(service, "REFUSED_PAUSE_S", 0.0)
    monkeypatch.setattr(arming, "READ_BACK_PAUSE_S", 0.0)
    settings, known, seen = Settings(redfish_port=bmc.port), None, Counter()
    for number in range(COMMANDS):
        verb = ("power_on", "reboot", "power_off")[number % 3]
        before = bmc.ledger.executed.copy()
        talk = open_redfish(machine_id(0), Ipmi(bmc.host, 0, USER, PASSWORD), settings, known, login_worked=True)
        try:
            if verb != "power_off":
                talk.arm_pxe("uefi")
            getattr(talk, verb)()
            told = "done"
        except BmcAuthenticationFailed:
            told = "refused login"
            bmc.ledger.login_changed()  # nobody would ask again before a person has said so
        except BmcError as error:
            told = error.executed
        finally:
            known = talk.known if talk.known.system else None
            talk.close()
        pressed = bmc.ledger.executed - before
        pressed.pop(Button.PXE_BOOT, None)
        assert sum(pressed.values()) <= 1, (number, verb, pressed)
        assert set(pressed) <= {BUTTONS[verb]}
        if told is False:
            assert not pressed, (number, verb)
        seen[str(told)] += 1
    assert bmc.ledger.most_refused_in_a_row <= service.MOST_REFUSALS
    assert bmc.ledger.graceful_resets == 0
    assert bmc.ledger.sessions == bmc.ledger.most_sessions == 0
    assert min(seen["done"], seen["False"], seen["None"]) >= 10, seen  # each was put to the test
