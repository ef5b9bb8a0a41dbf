"""The lab's BMCs, asked by the libraries that Go programs use for real ones: gofish and go-ipmi."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lab.bmc.chassis import Button
from lab.bmc.fleet import FleetMachine, machine_id
from lab.bmc.ipmi.server import VirtualIpmiBmc
from lab.bmc.redfish.server import VirtualRedfishBmc
from lab.bmc.redfish.traits import IfMatch
from lab.omni.certificates import make_certificate
from tests.interop.go_programs import ProgramError

pytestmark = pytest.mark.interop

USER, PASSWORD = "operator", "wörds of secrecy"
LIMIT_S = 30


@pytest.fixture(scope="module")
def program(start):
    with start("bmc") as running:
        yield running


@contextmanager
def listening(bmc):
    """The BMC serves in a thread of its own, as the program is asked in this one."""
    bmc.set_login(USER, PASSWORD)
    with ThreadPoolExecutor(1) as pool, asyncio.Runner() as runner:
        loop = runner.get_loop()
        running = pool.submit(loop.run_forever)
        try:
            asyncio.run_coroutine_threadsafe(bmc.serve(), loop).result(LIMIT_S)
            yield
        finally:
            asyncio.run_coroutine_threadsafe(bmc.stop(), loop).result(LIMIT_S)
            loop.call_soon_threadsafe(loop.stop)
            running.result(LIMIT_S)


@pytest.fixture
def machine():
    return FleetMachine(machine_id(0))


class Asked:
    """A BMC and the program that asks it."""

    def __init__(self, program, protocol, bmc):
        self._program, self._protocol, self.bmc = program, protocol, bmc
        self.login = {"username": USER, "password": PASSWORD}

    def ask(self, act, **fields):
        place = {"host": self.bmc.host, "port": self.bmc.port, **self.login}
        return self._program.ask(f"{self._protocol} {act}", **(place | fields))


@pytest.fixture
def redfish(program, machine):
    bmc = VirtualRedfishBmc(machine, machine.machine_id, certificate=make_certificate("127.0.0.1"))
    with listening(bmc):
        yield Asked(program, "redfish", bmc)


@pytest.fixture
def ipmi(program, machine):
    with listening(bmc := VirtualIpmiBmc(machine)):
        yield Asked(program, "ipmi", bmc)


@pytest.mark.parametrize("basic", [True, False])
def test_gofish_finds_all_that_it_looks_for(redfish, machine, basic):
    assert redfish.ask("status", basic=basic) == {
        "power": "Off",
        "uuid": machine.machine_id,
        "enabled": "Disabled",
        "target": "None",
        "mode": "UEFI",
        "types": ["On", "ForceOff", "ForceRestart", "PowerCycle", "GracefulShutdown", "GracefulRestart"],
        "firmware": "1.0.0",
        "model": "Virtual Machine",
    }
    ledger = redfish.bmc.ledger
    assert (ledger.sessions, ledger.most_sessions, ledger.refused_logins) == (0, 0 if basic else 1, 0)
    assert ledger.most_users == 1


@pytest.mark.parametrize("if_match", list(IfMatch))
def test_machine_lives_by_gofish(redfish, machine, if_match):
    redfish.bmc.traits.if_match = if_match
    redfish.ask("arm")
    assert [redfish.ask("status")[name] for name in ("enabled", "target", "power")] == ["Once", "Pxe", "Off"]
    redfish.ask("reset", type="On")
    assert [redfish.ask("status")[name] for name in ("enabled", "target", "power")] == ["Disabled", "None", "On"]
    redfish.ask("reset", type="ForceRestart")
    redfish.ask("reset", type="PowerCycle")
    redfish.ask("reset", type="ForceOff")
    assert redfish.ask("status")["power"] == "Off"
    executed = {Button.PXE_BOOT: 1, Button.POWER_ON: 1, Button.REBOOT: 2, Button.POWER_OFF: 1}
    assert machine.presses == redfish.bmc.ledger.executed == executed
    assert redfish.bmc.ledger.sessions == 0


def test_gofish_reads_reset_types_that_stand_apart(redfish):
    redfish.bmc.traits.reset_types_apart = True
    assert "ForceRestart" in redfish.ask("status")["types"]


@pytest.mark.parametrize("basic", [True, False])
def test_gofish_with_a_wrong_password_is_refused(redfish, machine, basic):
    redfish.login["password"] = "wrong"
    with pytest.raises(ProgramError, match=r"401: .*credentials"):
        redfish.ask("reset", type="On", basic=basic)
    assert redfish.bmc.ledger.refused_logins == 1
    assert not machine.presses


def test_gofish_sees_its_own_session_and_no_more_of_them_than_slots(redfish):
    assert redfish.ask("session") == [USER]
    redfish.bmc.traits.session_slots = 0
    with pytest.raises(ProgramError, match=r"^503: .*SessionLimitExceeded"):
        redfish.ask("session")


def test_reset_of_a_machine_that_is_off_is_an_error_for_gofish(redfish, machine):
    with pytest.raises(ProgramError, match=r"^409: .*ResourceInStandby"):
        redfish.ask("reset", type="ForceRestart")
    assert not machine.presses


def test_machine_lives_by_go_ipmi(ipmi, machine):
    assert ipmi.ask("status") == {"power": False, "valid": False, "persistent": False, "efi": False, "pxe": False}
    ipmi.ask("arm")
    assert ipmi.ask("status") == {"power": False, "valid": True, "persistent": False, "efi": True, "pxe": True}
    for control in (1, 2, 3, 0):
        ipmi.ask("control", control=control)
    assert ipmi.ask("status")["power"] is False
    executed = {Button.PXE_BOOT: 1, Button.POWER_ON: 1, Button.REBOOT: 2, Button.POWER_OFF: 1}
    assert machine.presses == ipmi.bmc.ledger.executed == executed
    ledger = ipmi.bmc.ledger
    assert (ledger.sessions, ledger.most_sessions, ledger.refused_logins) == (0, 1, 0)


def test_cycle_of_a_machine_that_is_off_is_an_error_for_go_ipmi(ipmi, machine):
    with pytest.raises(ProgramError, match=r"(?i)d5"):
        ipmi.ask("control", control=2)
    assert not machine.presses


@pytest.mark.parametrize("login", [{"password": "wrong"}, {"username": "nobody"}])
def test_go_ipmi_with_a_wrong_login_is_refused(ipmi, machine, login):
    ipmi.login |= login
    with pytest.raises(ProgramError, match=r"(?i)rakp"):
        ipmi.ask("control", control=1)
    assert ipmi.bmc.ledger.refused_logins >= 1
    assert not machine.presses
