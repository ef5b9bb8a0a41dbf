"""The lab's IPMI BMC, asked by programs that others wrote: ipmitool and pyghmi."""

import asyncio
import json
import shutil
import signal
import sys

import pytest

from lab.bmc.chassis import Button
from lab.bmc.ipmi.keys import SUITES
from lab.bmc.ipmi.server import VirtualIpmiBmc
from tests.free_ports import free_port
from tests.required import need
from tests.unit.lab.bmc.ipmi.console import Chassis

pytestmark = pytest.mark.integration

USER, PASSWORD = "operator", "twenty bytes of words"[:20]
LIMIT_S = 30

# In a process of its own, as this library does not let itself be used in another thread later.
PYGHMI = """
import json, sys
from pyghmi.ipmi import command
from pyghmi.exceptions import IpmiException
port, user, password = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode()
try:
    bmc = command.Command(bmc="127.0.0.1", port=port, userid=user, password=password)
except IpmiException as error:
    print(json.dumps(str(error)))
    sys.exit()
def raw(*data):
    return bmc.xraw_command(netfn=0, command=2, data=data)["code"]
said = [
    bmc.get_power()["powerstate"],
    bmc.raw_command(netfn=0, command=2, data=(2,))["code"],
    bmc.set_power("on", wait=5)["powerstate"],
    bmc.set_bootdev("network", persist=False, uefiboot=True).get("error"),
    bmc.get_bootdev(),
    bmc.raw_command(netfn=0, command=2, data=(2,))["code"],
    bmc.get_bootdev()["bootdev"],
    bmc.set_power("off", wait=5)["powerstate"],
]
bmc.ipmi_session.logout()
print(json.dumps(said))
"""


@pytest.fixture(scope="module", autouse=True)
def _ipmitool():
    need("" if shutil.which("ipmitool") else "needs ipmitool: apt-get install ipmitool")


def play(scene):
    """Play a scene with a BMC that listens; the answer is what it returns, the BMC and the chassis."""

    async def played():
        chassis = Chassis()
        bmc = VirtualIpmiBmc(chassis)
        bmc.set_login(USER, PASSWORD)
        bmc.set_login("short", "short")  # IPMI 1.5 has room for 16 bytes
        await bmc.serve("127.0.0.1")
        try:
            return await scene(bmc), bmc, chassis
        finally:
            await bmc.stop()

    return asyncio.run(played())


async def run(*command):
    """The exit status and all that a program says."""
    child = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(child.communicate(), LIMIT_S)
    return child.returncode, said.decode().strip()


async def ipmitool(bmc, *words, suite=17, user=USER, password=PASSWORD, interface="lanplus", host=None):
    """Ask a BMC once; one try of a second for each packet."""
    chosen = [] if suite is None else ["-C", suite]
    where = ["-H", host or bmc.host, "-p", bmc.port, "-N", 2, "-R", 1]
    return await run("ipmitool", "-I", interface, *chosen, *where, "-U", user, "-P", password, *words)


@pytest.mark.parametrize("suite", [suite.number for suite in SUITES])
def test_ipmitool_finds_all_that_it_looks_for(suite):
    async def scene(bmc):
        async def ask(*words):
            return await ipmitool(bmc, *words, suite=suite)

        assert await ask("power", "status") == (0, "Chassis Power is off")
        assert await ask("power", "cycle") == (
            1, "Set Chassis Power Control to Cycle failed: Command not supported in present state"
        )
        assert await ask("power", "on") == (0, "Chassis Power Control: Up/On")
        assert await ask("power", "status") == (0, "Chassis Power is on")
        assert await ask("chassis", "bootdev", "pxe", "options=efiboot") == (0, "Set Boot Device to pxe")
        _, flags = await ask("chassis", "bootparam", "get", "5")
        assert await ask("power", "cycle") == (0, "Chassis Power Control: Cycle")
        _, after = await ask("chassis", "bootparam", "get", "5")
        assert await ask("power", "reset") == (0, "Chassis Power Control: Reset")
        assert await ask("power", "off") == (0, "Chassis Power Control: Down/Off")
        _, about = await ask("mc", "info")
        return flags, after, about

    (flags, after, about), bmc, chassis = play(scene)

    for line in ("Boot Flag Valid", "apply to only next boot", "BIOS EFI boot", "Force PXE"):
        assert line in flags
    assert "Boot Flag Invalid" in after
    assert "IPMI Version              : 2.0" in about and "Chassis Device" in about
    assert chassis.pressed == ["poweron", "pxeboot", "reboot", "reboot", "poweroff"]
    assert bmc.ledger.executed == {button: 2 if button is Button.REBOOT else 1 for button in Button}
    assert (bmc.calls["reboot"], bmc.calls["resent"]) == (3, 0)
    assert (bmc.ledger.logins, bmc.ledger.refused_logins) == (11, 0)
    assert (bmc.ledger.sessions, bmc.ledger.most_sessions, bmc.ledger.most_users) == (0, 1, 1)


def test_ipmitool_chooses_a_suite_from_those_that_are_listed():
    assert play(lambda bmc: ipmitool(bmc, "power", "status", suite=None))[0] == (0, "Chassis Power is off")


@pytest.mark.parametrize(
    "asked",
    [
        {"password": "wrong"},
        {"user": "nobody"},
        {"suite": 3, "password": "wrong"},
        {"suite": 3, "user": "nobody"},
        {"suite": 0},
        {"interface": "lan", "user": "short", "password": "short"},
    ],
    ids=str,
)
def test_ipmitool_is_not_let_in(asked):
    (status, said), bmc, chassis = play(lambda bmc: ipmitool(bmc, "power", "on", **asked))

    assert status == 1 and "Unable to establish" in said
    assert (chassis.pressed, bmc.ledger.logins, bmc.ledger.sessions) == ([], 0, 0)


def test_ipmitool_gets_no_session_where_all_slots_are_taken():
    async def scene(bmc):
        taken = [bmc.sessions.begin(SUITES[0], 1, ("192.0.2.1", number), 4) for number in range(bmc.sessions.slots)]
        full = await ipmitool(bmc, "power", "status")
        bmc.sessions.close(taken[0])
        return full, await ipmitool(bmc, "power", "status")

    (full, free), _, _ = play(scene)

    assert full[0] == 1 and "insufficient resources" in full[1]
    assert free == (0, "Chassis Power is off")


def test_pyghmi_finds_all_that_it_looks_for():
    (status, said), bmc, chassis = play(lambda bmc: run(sys.executable, "-c", PYGHMI, bmc.port, USER, PASSWORD))

    assert status == 0, said
    armed = {"bootdev": "network", "persistent": False, "uefimode": True}
    assert json.loads(said) == ["off", 0xD5, "on", None, armed, 0, "default", "off"]
    assert chassis.pressed == ["poweron", "pxeboot", "reboot", "poweroff"]
    assert (bmc.calls["resent"], bmc.ledger.sessions, bmc.ledger.most_users) == (0, 0, 1)


@pytest.mark.parametrize(
    ("user", "password", "slots", "words"),
    [
        (USER, "wrong", 4, "Incorrect password provided"),
        ("nobody", PASSWORD, 4, "Unauthorized name in RAKP2"),
        (USER, PASSWORD, 0, "Insufficient resources to create new session"),
    ],
)
def test_pyghmi_is_told_why_it_is_not_let_in(user, password, slots, words):
    async def scene(bmc):
        bmc.sessions.slots = slots
        return await run(sys.executable, "-c", PYGHMI, bmc.port, user, password)

    (status, said), bmc, _ = play(scene)

    assert (status, json.loads(said)[: len(words)]) == (0, words)
    assert bmc.ledger.logins == 0


def test_fleet_says_where_it_is_and_what_it_was_asked_for():
    async def scene():
        port = free_port()
        fleet = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "lab.bmc.ipmi", "--machines=3", "--silent=0.34", f"--port={port}"],
            *["--base-address=127.79.99.254", f"--username={USER}", f"--password={PASSWORD}", "--latency-s=0.02"],
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            where = json.loads(await asyncio.wait_for(fleet.stdout.readline(), LIMIT_S))

            class At:
                host, port = where["addresses"][0], where["port"]

            said = await asyncio.gather(
                ipmitool(At, "power", "on"), ipmitool(At, "power", "status", host=where["silent"][0])
            )
            fleet.send_signal(signal.SIGTERM)
            counts = json.loads(await asyncio.wait_for(fleet.stdout.readline(), LIMIT_S))
            return where, said, counts, await asyncio.wait_for(fleet.wait(), LIMIT_S)
        finally:
            if fleet.returncode is None:
                fleet.kill()
                await fleet.wait()

    where, (living, silent), counts, status = asyncio.run(scene())

    assert sorted(where["addresses"] + where["silent"]) == ["127.79.100.0", "127.79.99.254", "127.79.99.255"]
    assert living == (0, "Chassis Power Control: Up/On") and silent[0] == 1
    assert counts["executed"] == {"poweron": 1}
    assert (counts["logins"], counts["sessions"], counts["most_users"]) == (1, 0, 1)
    assert 0 < counts["cpu_s"] < 10
    assert status == 0
