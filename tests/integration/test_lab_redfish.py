"""The lab's Redfish BMC over TLS, asked by sushy as it is shipped."""

import asyncio
import contextlib
import json
import signal
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import sushy
from sushy import auth, exceptions

from lab.bmc.chassis import Button
from lab.bmc.dice import Odds
from lab.bmc.fleet import FleetMachine, machine_id
from lab.bmc.redfish.server import VirtualRedfishBmc
from lab.bmc.redfish.traits import IfMatch
from lab.omni.certificates import make_certificate
from tests.free_ports import free_port

pytestmark = [
    pytest.mark.integration,
    # sushy is told not to look at the certificate, and leaves connections to the collector
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request", "ignore:unclosed:ResourceWarning"),
]

USER, PASSWORD = "operator", "secret"
LIMIT_S = 30


class Served:
    """A BMC that listens in a thread of its own."""

    def __init__(self, bmc, machine, loop):
        self.bmc, self.machine, self.ledger = bmc, machine, bmc.ledger
        self._loop = loop

    def serve(self):
        asyncio.run_coroutine_threadsafe(self.bmc.serve(), self._loop).result(LIMIT_S)

    def stop(self):
        asyncio.run_coroutine_threadsafe(self.bmc.stop(), self._loop).result(LIMIT_S)

    def root(self, login=auth.SessionAuth, password=PASSWORD):
        return sushy.Sushy(
            f"https://{self.bmc.host}:{self.bmc.port}",
            auth=login(username=USER, password=password),
            verify=False,
            server_side_retries=1,
        )


@pytest.fixture(scope="module")
def certificate():
    return make_certificate("127.0.0.1")


@pytest.fixture
def served(certificate):
    machine = FleetMachine(machine_id(0))
    bmc = VirtualRedfishBmc(machine, machine.machine_id, certificate=certificate)
    bmc.set_login(USER, PASSWORD)
    with ThreadPoolExecutor(1) as pool, asyncio.Runner() as runner:
        loop = runner.get_loop()
        running = pool.submit(loop.run_forever)
        place = Served(bmc, machine, loop)
        try:
            place.serve()
            yield place
        finally:
            place.stop()
            loop.call_soon_threadsafe(loop.stop)
            running.result(LIMIT_S)


@contextlib.contextmanager
def system(served, login=auth.SessionAuth):
    root = served.root(login)
    try:
        yield root.get_system()
    finally:
        root._auth.close()


def arm(machine):
    machine.set_system_boot_options(
        target=sushy.BootSource.PXE,
        enabled=sushy.BootSourceOverrideEnabled.ONCE,
        mode=sushy.BootSourceOverrideMode.UEFI,
    )


def fresh(machine):
    machine.refresh(force=True)
    return machine.power_state.value, machine.boot.enabled.value, machine.boot.target.value


@pytest.mark.parametrize("login", [auth.SessionAuth, auth.BasicAuth])
def test_machine_lives_by_sushy(served, login):
    with system(served, login) as machine:
        assert machine.uuid == served.machine.machine_id
        assert {kind.value for kind in machine.get_allowed_reset_system_values()} >= {"On", "ForceOff", "ForceRestart"}
        assert machine.managers[0].firmware_version == served.bmc.traits.firmware
        assert machine.chassis[0].power_state.value == "Off"
        arm(machine)
        assert fresh(machine) == ("Off", "Once", "Pxe")
        machine.reset_system(sushy.ResetType.ON)
        assert fresh(machine) == ("On", "Disabled", "None")
        machine.reset_system(sushy.ResetType.FORCE_RESTART)
        machine.reset_system(sushy.ResetType.POWER_CYCLE)
        machine.reset_system(sushy.ResetType.FORCE_OFF)
        assert fresh(machine)[0] == "Off"
    executed = {Button.PXE_BOOT: 1, Button.POWER_ON: 1, Button.REBOOT: 2, Button.POWER_OFF: 1}
    assert served.machine.presses == served.ledger.executed == executed
    assert (served.ledger.sessions, served.ledger.refused_logins, served.ledger.most_users) == (0, 0, 1)


@pytest.mark.parametrize("if_match", list(IfMatch))
def test_sushy_arms_whatever_becomes_of_etags(served, if_match):
    served.bmc.traits.if_match = if_match
    with system(served) as machine:
        arm(machine)
        assert fresh(machine)[1:] == ("Once", "Pxe")


@pytest.mark.parametrize("apart", [True, False])
def test_sushy_finds_the_reset_types(served, apart):
    served.bmc.traits.reset_types_apart = apart
    with system(served) as machine:
        found = {kind.value for kind in machine.get_allowed_reset_system_values()}
        assert found == set(served.bmc.traits.reset_types)


def test_make_without_modes_is_one_for_sushy(served):
    served.bmc.traits.boot_modes = ()
    with system(served) as machine:
        assert machine.boot.mode is None
        with pytest.raises(exceptions.BadRequestError, match="BootSourceOverrideMode"):
            arm(machine)
        machine.set_system_boot_options(
            target=sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.ONCE
        )
        assert fresh(machine)[1:] == ("Once", "Pxe")


@pytest.mark.parametrize(("login", "times"), [(auth.SessionAuth, 1), (auth.BasicAuth, 1), (auth.SessionOrBasicAuth, 2)])
def test_sushy_with_a_wrong_password_is_refused_as_often_as_it_asks(served, login, times):
    with pytest.raises(exceptions.AccessError):
        served.root(login, "wrong").get_system()
    assert (served.ledger.refused_logins, served.ledger.sessions) == (times, 0)


def test_refusal_reads_as_words(served):
    with system(served) as machine, pytest.raises(exceptions.HTTPError, match="the resource is in standby"):
        machine.reset_system(sushy.ResetType.FORCE_RESTART)
    assert not served.machine.presses


def test_dropped_answer_is_a_connection_that_ends_for_sushy(served):
    with system(served) as machine:
        served.bmc.dice.odds = Odds(drop_after=1)
        with pytest.raises(exceptions.ConnectionError):
            machine.reset_system(sushy.ResetType.ON)
        served.bmc.dice.odds = Odds()
    assert served.ledger.executed == {Button.POWER_ON: 1}


def test_without_a_certificate_it_speaks_plain_http():
    async def story():
        machine = FleetMachine(machine_id(0))
        bmc = VirtualRedfishBmc(machine, machine.machine_id)
        await bmc.serve()
        try:
            url = f"http://{bmc.host}:{bmc.port}/redfish/v1/"
            return await asyncio.to_thread(requests.get, url, timeout=LIMIT_S)
        finally:
            await bmc.stop()

    assert asyncio.run(story()).json()["UUID"] == machine_id(0)


def test_stop_ends_connections_that_wait_for_an_answer(served):
    served.bmc.status_delay_s = LIMIT_S
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(served.root)
        while not served.bmc._server.connections:
            time.sleep(0.01)
        time.sleep(0.1)  # time for the handshake, mostly; it may as well be cut
        served.stop()
        with pytest.raises(exceptions.ConnectionError):
            asked.result(LIMIT_S)


async def fleet(*words):
    """Run a fleet until it has told where it is; the answer is that, and what it tells at its end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lab.bmc.redfish", *map(str, words), stdout=asyncio.subprocess.PIPE
    )
    try:
        where = json.loads(await asyncio.wait_for(child.stdout.readline(), LIMIT_S))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for address in where["addresses"]:
            response = await asyncio.to_thread(
                requests.get, f"https://{address}:{where['port']}/redfish/v1/Systems/1",
                auth=(USER, PASSWORD), verify=False, timeout=LIMIT_S,
            )  # fmt: skip
            assert response.json()["PowerState"] == "Off"
    finally:
        child.send_signal(signal.SIGTERM)
        rest, _ = await asyncio.wait_for(child.communicate(), LIMIT_S)
    return where, json.loads(rest)


def test_fleet_listens_at_an_address_each_and_tells_what_it_was_asked():
    words = ("--machines", 4, "--silent", 0.25, "--base-address", "127.79.0.1", "--port", free_port())
    where, told = asyncio.run(fleet(*words, "--username", USER, "--password", PASSWORD))
    assert (len(where["addresses"]), len(where["silent"])) == (3, 1)
    assert (told["calls"], told["logins"], told["refused_logins"]) == ({"status": 3}, 3, 0)
