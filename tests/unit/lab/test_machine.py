"""A machine's power, disk and wipes; its firmware gets its answers from a dictionary."""

import asyncio

import grpc
import pytest

from lab import booting
from lab.bmc.chassis import Button
from lab.booting import Surroundings
from lab.fetch import Fetched
from lab.firmware import Identity
from lab.hardware import Stage
from lab.machine import VirtualMachine
from lab.wiping import WipeFailedError, WipePlan

MACHINE_ID = "6d657461-6c00-4000-8000-000000000001"
TALOS = "#!ipxe\nkernel http://f/image talos.config=http://p/config?u=${uuid}\ninitrd http://f/image\nboot\n"
AGENT = TALOS.replace("talos.config", "metal.provider.address=10.0.0.1:50042 talos.config")
DISK = "#!ipxe\nexit\n"
CONFIG = "apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: grpc://o?jointoken=let%2Dme%2Din\n"
IMAGE = '{"talos_version": "v1", "extensions": %s}'


class Omni:
    def __init__(self):
        self.events = []

    def join(self, machine_id, *, join_token):
        self.events.append("join")
        return join_token == "let-me-in"

    def connected(self, machine_id):
        self.events.append("connected")

    def disconnected(self, machine_id):
        self.events.append("disconnected")

    def booted(self, machine_id):
        self.events.append("booted")


class Tunnel:
    open = True


class Bench:
    """One machine with a provider that answers `script`."""

    def __init__(self, monkeypatch, script, wipes=None):
        self.omni = Omni()
        self.script = script
        self.dialled = []
        self.config = CONFIG
        monkeypatch.setattr(booting, "fetch", self.fetch)
        monkeypatch.setattr(booting, "NETBOOT_RETRY_S", 0.001)
        monkeypatch.setattr(booting, "JOIN_RETRY_S", 0.001)
        around = Surroundings(self.omni, "http://p", boot_s=0, wipe_s=0.01, wipes=wipes or WipePlan())
        self.machine = VirtualMachine(Identity(MACHINE_ID, "02:00:00:00:00:01", "LAB1"), around, self.run_agent)

    async def fetch(self, url):
        extensions = '["siderolabs/metal-agent"]' if self.script == AGENT else "[]"
        body = {"boot.ipxe": self.script, "image": IMAGE % extensions, "config": self.config}
        return Fetched(url, 200, body[url.split("?")[0].rpartition("/")[2]].encode())

    async def run_agent(self, machine, address):
        self.dialled.append(address)
        machine.tunnel = Tunnel()
        await asyncio.Event().wait()

    def play(self, scene):
        async def played():
            try:
                await scene(self.machine)
            finally:
                await self.machine.stop()

        asyncio.run(asyncio.wait_for(played(), 5))


@pytest.fixture
def bench(monkeypatch):
    return lambda *arguments, **named: Bench(monkeypatch, *arguments, **named)


async def until(holds):
    while not holds():  # noqa: ASYNC110 - a machine tells nobody of its changes
        await asyncio.sleep(0.001)


def test_machine_with_an_empty_disk_boots_the_agent_and_joins(bench):
    at = bench(AGENT)

    async def scene(machine):
        machine.press(Button.POWER_ON)
        await until(lambda: machine.tunnel_open)
        assert machine.stage is Stage.AGENT

    at.play(scene)

    assert at.dialled == ["10.0.0.1:50042"]
    assert at.omni.events == ["join", "connected", "disconnected"]
    assert not at.machine.powered_on


def test_talos_from_the_network_installs_itself_and_counts_as_booted(bench):
    at = bench(TALOS)

    async def scene(machine):
        machine.press(Button.POWER_ON)
        await until(lambda: machine.stage is Stage.TALOS)
        assert machine.installed

    at.play(scene)

    assert at.omni.events == ["join", "booted", "connected", "disconnected"]


def test_installed_machine_boots_its_disk_unless_armed_for_one_boot(bench):
    at = bench(AGENT)

    async def scene(machine):
        machine.installed = True
        machine.press(Button.POWER_ON)
        await until(lambda: machine.stage is Stage.TALOS)
        machine.press(Button.PXE_BOOT)
        machine.press(Button.REBOOT)
        await until(lambda: machine.stage is Stage.AGENT)
        machine.press(Button.REBOOT)
        await until(lambda: machine.stage is Stage.TALOS)

    at.play(scene)

    assert at.omni.events.count("booted") == 2


def test_script_for_the_disk_with_nothing_on_it_keeps_asking(bench):
    at = bench(DISK)

    async def scene(machine):
        machine.press(Button.POWER_ON)
        await until(lambda: machine.counts["nothing to boot"] > 1)
        assert machine.stage is Stage.NOTHING_TO_BOOT
        at.script = TALOS
        await until(lambda: machine.stage is Stage.TALOS)

    at.play(scene)


@pytest.mark.parametrize(
    "config",
    [
        "refused",
        "kind: [",
        CONFIG.replace("SideroLinkConfig", "EventSinkConfig"),
        CONFIG.replace("apiVersion: v1alpha1\n", ""),
        f"{CONFIG}---\n{CONFIG}",
        f"{CONFIG}---\nmachine: {{}}\n",
    ],
)
def test_machine_without_a_configuration_that_talos_takes_does_not_join(bench, config):
    at = bench(AGENT)
    at.config = config

    async def scene(machine):
        machine.press(Button.POWER_ON)
        await until(lambda: machine.counts["join waited"] > 1)
        assert machine.stage is Stage.JOINING

    at.play(scene)

    assert at.omni.events == []


def test_machine_with_an_older_token_joins_once_it_is_given_the_present_one(bench):
    at = bench(AGENT)
    at.config = CONFIG.replace("let", "before-let")

    async def scene(machine):
        machine.press(Button.POWER_ON)
        await until(lambda: machine.counts["join waited"] > 1)
        at.config = f"---\n{CONFIG}---\napiVersion: v1alpha1\nkind: WatchdogTimerConfig\n"
        await until(lambda: machine.stage is Stage.AGENT)

    at.play(scene)


def test_reboot_of_a_machine_that_is_off_does_nothing(bench):
    at = bench(AGENT)

    async def scene(machine):
        machine.press(Button.REBOOT)
        await asyncio.sleep(0.01)
        assert not machine.powered_on

    at.play(scene)


def test_wipe_empties_the_disk_and_is_counted(bench):
    at = bench(AGENT)

    async def scene(machine):
        machine.installed = True
        await machine.wipe()
        assert not machine.installed

    at.play(scene)

    assert at.machine.counts["wipe begun"] == at.machine.counts["wipe done"] == 1
    assert at.machine.complaints == []


def test_first_wipes_fail_as_planned_with_code_and_words(bench):
    at = bench(AGENT, wipes=WipePlan(fail=1, code=grpc.StatusCode.FAILED_PRECONDITION, words="a RAID member"))

    async def scene(machine):
        with pytest.raises(WipeFailedError, match="a RAID member") as failed:
            await machine.wipe()
        assert failed.value.code is grpc.StatusCode.FAILED_PRECONDITION
        await machine.wipe()

    at.play(scene)

    assert (at.machine.counts["wipe failed"], at.machine.counts["wipe done"]) == (1, 1)


def test_wipe_whose_agent_dies_is_cut_short(bench):
    at = bench(AGENT, wipes=WipePlan(agent_dies=1))

    async def scene(machine):
        wiping = None

        async def agent(machine, address):
            nonlocal wiping
            wiping = asyncio.ensure_future(machine.wipe())
            try:
                await asyncio.Event().wait()
            finally:
                wiping.cancel()

        machine._run_agent = agent
        machine.press(Button.POWER_ON)
        await until(lambda: machine.counts["wipe cut short"])

    at.play(scene)

    assert at.machine.counts["agent killed"] == 1
    assert at.machine.wiping == 0


@pytest.mark.parametrize("button", [Button.POWER_OFF, Button.REBOOT])
def test_power_command_during_a_wipe_is_a_complaint(bench, button):
    at = bench(AGENT)

    async def scene(machine):
        machine.press(Button.POWER_ON)
        await until(lambda: machine.stage is Stage.AGENT)
        wiping = asyncio.ensure_future(machine.wipe())
        await asyncio.sleep(0)
        machine.commanded(button)
        await wiping

    at.play(scene)

    assert at.machine.complaints == [f"{button.value} during a wipe"]


def test_wipe_during_a_wipe_is_a_complaint(bench):
    at = bench(AGENT)

    async def scene(machine):
        await asyncio.gather(machine.wipe(), machine.wipe())

    at.play(scene)

    assert at.machine.complaints == ["a wipe began during a wipe"]
