"""A rack: the stand-ins for Omni and the image factory, and the machines with their BMCs, in one event loop.

async with Rack(RackOptions(machines=3)) as rack:
    ...  # start a provider with rack.provider_options()
    rack.power_on()
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import grpc

from config.options import OPTIONS
from lab.agent_runner import run_agent
from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import BmcKind, Button
from lab.bmc.conduct import misconduct
from lab.bmc.dice import Odds
from lab.booting import Surroundings
from lab.factory import ImageFactory
from lab.firmware import Identity
from lab.machine import VirtualMachine
from lab.observed import Observed, observe
from lab.omni import StandInOmni
from lab.omni.certificates import make_certificate
from lab.omni.keys import make_key
from lab.omni.signatures import Signatures
from lab.open_files import allow_open_files
from lab.rack_bmcs import RackBmcs
from lab.statefiles import write_state_files
from lab.wiping import WipePlan

# A BMC's port, its clients, an agent's connection (with TLS five files), a fetch, and some to spare.
FILES_PER_MACHINE: Final = 12
FILES_BESIDE: Final = 256


@dataclass(frozen=True, slots=True)
class RackOptions:
    """What a rack is made of.

    host: where all stand-ins listen, and how the provider reaches them.
    provider_port: where the machines' firmware finds the provider, on this host.
    provider_url: where it finds it else.
    omni_port, factory_port: where Omni and the image factory answer; 0 is a free port.
    boot_s: how long firmware takes, and an installation.
    fail_wipes: the first so many wipes fail, with `fail_wipes_code` and `fail_wipes_words`.
    wipes_that_kill_agents: after those, so many wipes lose their agent half way.
    secure: Omni serves TLS and wants signed calls, as a real one does.
    old_omni: Omni is of a version that has no ProviderJoinConfigs.
    state_dir: where the files that name the BMCs are written; None is a temporary folder.
    kinds: of BMCs; the machines take them in turn.
    odds: how likely each fault is at each BMC; dice_seed: the same seed gives the same faults.
    """

    machines: int = 6
    wipe_s: float = 2.0
    boot_s: float = 1.0
    host: str = "127.0.0.1"
    provider_id: str = "bare-metal"
    provider_port: int = 50042
    provider_url: str = ""
    omni_port: int = 0
    factory_port: int = 0
    fail_wipes: int = 0
    fail_wipes_code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    fail_wipes_words: str = "failed to wipe disks: /dev/sda: input/output error"
    wipes_that_kill_agents: int = 0
    status_delay_s: float = 0.0
    command_delay_s: float = 0.0
    factory_delay_s: float = 0.0
    omni_delay_s: float = 0.0
    secure: bool = False
    old_omni: bool = False
    state_dir: Path | None = None
    kinds: tuple[BmcKind, ...] = (BmcKind.API,)
    odds: Odds = field(default_factory=Odds)
    dice_seed: int = 0


class Rack:
    """The rack, running from `start` to `stop`, or as a context manager."""

    def __init__(self, options: RackOptions | None = None) -> None:
        self.options = options or RackOptions()
        self.key = make_key(self.options.provider_id)
        self.omni = self._omni()
        self.factory = ImageFactory(self.options.factory_delay_s)
        self.wipes = WipePlan(
            fail=self.options.fail_wipes,
            agent_dies=self.options.wipes_that_kill_agents,
            code=self.options.fail_wipes_code,
            words=self.options.fail_wipes_words,
        )
        self.omni_url = ""
        self.omni_port = self.options.omni_port
        self.bmcs = RackBmcs(self.options.kinds, self.options.odds, self.options.dice_seed, self.options.host)
        self.machines = tuple(self._machine(index) for index in range(self.options.machines))
        self._own_folder: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open all ports and write the state files. The machines stay off."""
        allow_open_files(FILES_PER_MACHINE * len(self.machines) + FILES_BESIDE)
        try:
            await self.start_omni()
            await self.factory.serve(self.options.host, self.options.factory_port)
            await self.bmcs.serve(self.machines)
            write_state_files(self.state_dir, self.machines)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Take the power away and close all ports."""
        await asyncio.gather(*(machine.stop() for machine in self.machines))
        await asyncio.gather(*(machine.bmc.stop() for machine in self.machines))
        await self.factory.stop()
        await self.omni.stop()
        if self._own_folder is not None:
            self._own_folder.cleanup()
            self._own_folder = None

    async def start_omni(self) -> None:
        """Serve Omni, at the port that it had before if it was stopped; its state is kept."""
        self.omni_port = await self.omni.serve(self.options.host, self.omni_port)
        self.omni_url = f"{'https' if self.options.secure else 'http'}://{self.options.host}:{self.omni_port}"

    async def stop_omni(self) -> None:
        """Take Omni away."""
        await self.omni.stop()

    @property
    def state_dir(self) -> Path:
        """The folder of the files that name the BMCs."""
        if self.options.state_dir is not None:
            return self.options.state_dir
        if self._own_folder is None:
            self._own_folder = tempfile.TemporaryDirectory(prefix="omni-metal-rack-")
        return Path(self._own_folder.name)

    @property
    def provider_url(self) -> str:
        """Where the machines expect the provider."""
        return self.options.provider_url or f"http://{self.options.host}:{self.options.provider_port}"

    def provider_options(self) -> list[str]:
        """The options with which a provider serves this rack."""
        host = self.options.host
        return [
            f"--id={self.options.provider_id}",
            f"--omni-api-endpoint={self.omni_url}",
            f"--image-factory-base-url={self.factory.url}",
            f"--image-factory-pxe-base-url={self.factory.url}",
            f"--api-power-mgmt-state-dir={self.state_dir}",
            f"--api-advertise-address={host}",
            f"--api-listen-address={host}",
            f"--api-port={self.options.provider_port}",
            "--agent-test-mode",
            "--disable-dhcp-proxy",
            *self.bmcs.provider_options(),
            *(["--insecure-skip-tls-verify"] if self.options.secure else []),
        ]

    def provider_environ(self) -> dict[str, str]:
        """What stands in the environment of such a provider: its service account key."""
        return {OPTIONS["service-account-key"].variable: self.key.variable} if self.options.secure else {}

    def power_on(self) -> None:
        """Boot all machines from the network, by hand."""
        for machine in self.machines:
            machine.press(Button.PXE_BOOT)
            machine.press(Button.REBOOT if machine.powered_on else Button.POWER_ON)

    def observe(self, machine: VirtualMachine) -> Observed:
        """The machine as Omni sees it now."""
        return observe(self.omni, machine.id)

    def counts(self) -> Counter[str]:
        """What has happened to all machines together."""
        total: Counter[str] = Counter()
        for machine in self.machines:
            total.update(machine.counts)
        return total

    def commands(self) -> Counter[str]:
        """What the BMCs were asked for, all together."""
        total: Counter[str] = Counter()
        for machine in self.machines:
            total.update(machine.bmc.calls)
        return total

    def complaints(self) -> list[str]:
        """What should never have happened: to a machine, to its BMC, or a call that Omni allows no provider."""
        told = [f"{machine.id}: {words}" for machine in self.machines for words in machine.complaints]
        for machine in self.machines:
            wrong = misconduct(machine.bmc.ledger, machine.bmc.dice.odds)
            told += [f"{machine.id} ({machine.kind.value}): {words}" for words in wrong]
        return told + [f"Omni refused a call: {words}" for words in self.omni.refused]

    def _omni(self) -> StandInOmni:
        if not self.options.secure:
            return StandInOmni(
                self.options.provider_id, old=self.options.old_omni, delay_s=self.options.omni_delay_s
            )
        # As many a small Omni has it: a certificate that nobody has signed.
        certificate = make_certificate(self.options.host, "omni.lab")
        return StandInOmni(
            self.options.provider_id,
            signatures=Signatures(self.key),
            certificate=certificate,
            old=self.options.old_omni,
            delay_s=self.options.omni_delay_s,
        )

    def _machine(self, index: int) -> VirtualMachine:
        identity = Identity(
            machine_id=f"6d657461-6c00-4000-8000-{index + 1:012x}",
            mac=f"02:00:00:{index >> 16 & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}",
            serial=f"LAB{index + 1:04d}",
        )
        around = Surroundings(
            omni=self.omni,
            provider_url=self.provider_url,
            boot_s=self.options.boot_s,
            wipe_s=self.options.wipe_s,
            wipes=self.wipes,
        )
        machine = VirtualMachine(identity, around, run_agent, lambda machine: self.bmcs.make(index, machine))
        machine.kind = self.bmcs.kind(index)
        machine.bmc.status_delay_s = self.options.status_delay_s
        if isinstance(machine.bmc, VirtualApiBmc):
            machine.bmc.command_delay_s = self.options.command_delay_s
        return machine
