"""A virtual bare-metal machine: its power, its disk, its firmware, and what it boots into.

It knows nothing of the provider but what a real machine learns: the firmware asks for a boot script and obeys it, the
Talos in the image fetches its configuration and joins Omni, the agent in it dials where the kernel arguments say.
Everything that happens to it is counted in `counts`; what must never happen to a machine is told in `complaints`.
"""

from __future__ import annotations

import asyncio
import enum
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from lab.bmc import Button, VirtualBmc
from lab.fetch import Fetched, FetchError, fetch
from lab.firmware import Identity, LocalDisk, NetbootError, TalosImage, netboot
from lab.wiping import WipeFate, WipePlan

NETBOOT_RETRY_S: Final = 1.0  # the boot loop of a NIC comes round again about this fast
JOIN_RETRY_S: Final = 1.0  # how often a Talos that cannot join tries again
AGENT_RESTART_S: Final = 1.0  # Talos restarts an ended agent after about this time

log = structlog.get_logger()


class Stage(enum.StrEnum):
    """What a machine is doing."""

    OFF = "off"
    FIRMWARE = "firmware"
    JOINING = "joining Omni"
    AGENT = "agent"
    INSTALLING = "installing"
    TALOS = "Talos"
    NOTHING_TO_BOOT = "nothing to boot"


class OmniSide(Protocol):
    """What a machine does at Omni."""

    def join(self, machine_id: str) -> object:
        """Call in with the join token; returns something false if Omni does not let it in yet."""

    def connected(self, machine_id: str) -> None:
        """The machine's connection to Omni is up."""

    def disconnected(self, machine_id: str) -> None:
        """The machine's connection to Omni is gone."""

    def booted(self, machine_id: str) -> None:
        """An installed Talos has started."""


RunAgent = Callable[["VirtualMachine", str], Awaitable[None]]
"""Runs an agent for a machine, dialling an address, until its tunnel ends; cancelled when the power goes."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a machine is plugged into.

    provider_url: where its firmware fetches boot scripts.
    boot_s: how long the firmware takes, and how long an installation takes.
    wipe_s: how long a wipe takes.
    """

    omni: OmniSide
    run_agent: RunAgent
    provider_url: str
    boot_s: float = 1.0
    wipe_s: float = 2.0
    wipes: WipePlan = field(default_factory=WipePlan)


class VirtualMachine:
    """One machine. All methods belong to the event loop that it runs in."""

    def __init__(self, identity: Identity, surroundings: Surroundings) -> None:
        self.identity = identity
        self.around = surroundings
        self.bmc = VirtualBmc(self)
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.stage = Stage.OFF
        self.armed = False
        self.installed = False
        self.tunnel_open = False
        self.wiping = 0
        self.image: TalosImage | None = None
        self.last_error = ""
        self._boot: asyncio.Task[None] | None = None
        self._agent: asyncio.Task[None] | None = None
        self._log = log.bind(machine_id=identity.machine_id)

    @property
    def id(self) -> str:
        """The machine's UUID."""
        return self.identity.machine_id

    @property
    def powered_on(self) -> bool:
        """Whether it has power."""
        return self.stage is not Stage.OFF

    def commanded(self, button: Button) -> None:
        """The provider pressed a button through the BMC."""
        if self.wiping and (button is Button.POWER_OFF or (button is Button.REBOOT and self.powered_on)):
            self.complaints.append(f"{button.value} during a wipe")
        self.press(button)

    def press(self, button: Button) -> None:
        """Press a button of the machine, whoever does it."""
        self.counts[button.value] += 1
        match button:
            case Button.PXE_BOOT:
                self.armed = True
            case Button.POWER_ON if not self.powered_on:
                self._start()
            case Button.POWER_OFF if self.powered_on:
                self._halt()
            case Button.REBOOT if self.powered_on:
                self._halt()
                self._start()

    def kill_agent(self) -> None:
        """End the agent as a crash would; Talos starts it again."""
        if self._agent is not None:
            self.counts["agent killed"] += 1
            self._agent.cancel()

    async def stop(self) -> None:
        """Take the power away and wait until nothing runs any more."""
        boot = self._boot
        self._halt()
        if boot is not None:
            await asyncio.wait({boot})

    async def wipe(self) -> None:
        """Wipe the disks, as the agent is told to.

        Raises:
            WipeFailedError: the plan says that it fails.
        """
        if self.wiping:
            self.complaints.append("a wipe began during a wipe")
        self.counts["wipe begun"] += 1
        self.wiping += 1
        ended = "wipe cut short"
        try:
            ended = await self._wipe()
        finally:
            self.wiping -= 1
            self.counts[ended] += 1
        if ended == "wipe failed":
            raise self.around.wipes.failure()

    async def _wipe(self) -> str:
        fate = self.around.wipes.next(self.id)
        if fate is WipeFate.FAILED:
            return "wipe failed"
        self.installed = False  # a wipe that is cut short leaves nothing to boot either
        if fate is WipeFate.AGENT_DIES:
            await asyncio.sleep(self.around.wipe_s / 2)
            self.kill_agent()
        await asyncio.sleep(self.around.wipe_s)
        return "wipe done"

    def _start(self) -> None:
        self.stage = Stage.FIRMWARE
        self._boot = asyncio.get_running_loop().create_task(self._run(self._boot))

    def _halt(self) -> None:
        self.stage, self.tunnel_open, self.image = Stage.OFF, False, None
        if self._boot is not None:
            self._boot.cancel()

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        """One boot, from power-on until the power goes."""
        if before is not None and not before.done():
            await asyncio.wait({before})
        await asyncio.sleep(self.around.boot_s)
        from_network, self.armed = self.armed or not self.installed, False
        if from_network:
            await self._network_boot()
        else:
            await self._talos()

    async def _network_boot(self) -> None:
        while True:
            try:
                outcome = await netboot(self.around.provider_url, self.identity, self._fetch)
            except NetbootError as error:
                self._trouble("network boot failed", str(error))
                await asyncio.sleep(NETBOOT_RETRY_S)
                continue
            if isinstance(outcome, TalosImage):
                return await self._loaded(outcome)
            if await self._disk_boot(outcome):
                return None
            await asyncio.sleep(NETBOOT_RETRY_S)

    async def _disk_boot(self, outcome: LocalDisk) -> bool:
        self.counts["told to boot its disk"] += 1
        if self.installed:
            await self._talos()
            return True
        self.stage = Stage.NOTHING_TO_BOOT
        self._trouble("nothing to boot", outcome.reason)
        return False

    async def _loaded(self, image: TalosImage) -> None:
        self.image = image
        if image.half_an_agent:
            self.complaints.append("the agent is in the image but not in the arguments, or the reverse")
        self.counts["booted agent" if image.is_agent else "booted installer"] += 1
        self.stage = Stage.JOINING
        await self._join(image)
        if image.is_agent:
            self.stage = Stage.AGENT
            await self._connected(self._agents(image))
        else:
            self.stage = Stage.INSTALLING
            await asyncio.sleep(self.around.boot_s)
            self.installed = True
            await self._talos()

    async def _talos(self) -> None:
        self.stage = Stage.TALOS
        self.counts["booted Talos"] += 1
        self.around.omni.booted(self.id)
        await self._connected(asyncio.Event().wait())

    async def _connected(self, life: Awaitable[object]) -> None:
        self.around.omni.connected(self.id)
        try:
            await life
        finally:
            self.around.omni.disconnected(self.id)

    async def _join(self, image: TalosImage) -> None:
        """Fetch the machine configuration and call in at Omni, as every Talos does first."""
        while True:
            if await self._configured(image) and self.around.omni.join(self.id):
                return
            self.counts["join waited"] += 1
            await asyncio.sleep(JOIN_RETRY_S)

    async def _configured(self, image: TalosImage) -> bool:
        url = image.argument("talos.config").replace("${uuid}", self.id)
        try:
            answer = await self._fetch(url)
        except FetchError as error:
            self._trouble("no machine configuration", str(error))
            return False
        if answer.status != 200 or "kind: SideroLinkConfig" not in answer.text:
            self._trouble("no machine configuration", f"{url}: HTTP {answer.status}, no SideroLinkConfig in it")
            return False
        return True

    async def _agents(self, image: TalosImage) -> None:
        """Run agent after agent: Talos starts an ended one again."""
        address = image.argument("metal.provider.address")
        while True:
            self.counts["agent started"] += 1
            self._agent = asyncio.ensure_future(self.around.run_agent(self, address))
            try:
                await asyncio.wait({self._agent})
            except asyncio.CancelledError:
                self._agent.cancel()
                await asyncio.wait({self._agent})
                raise
            finally:
                self.tunnel_open = False
            if not self._agent.cancelled() and (error := self._agent.exception()):
                self._trouble("agent ended", str(error))
            await asyncio.sleep(AGENT_RESTART_S)

    async def _fetch(self, url: str) -> Fetched:
        self.counts["fetched"] += 1
        return await fetch(url)

    def _trouble(self, event: str, words: str) -> None:
        self.counts[event] += 1
        if words != self.last_error:
            self.last_error = words
            self._log.info(event, words=words)
