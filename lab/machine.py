"""A virtual bare-metal machine: its power and its disk; what it boots is in `lab.booting`.

Everything that happens to it is counted in `counts`; what must never happen to a machine is told in `complaints`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import Button, VirtualBmc
from lab.booting import Boot, Surroundings
from lab.firmware import Identity
from lab.hardware import Hardware, Stage
from lab.wiping import WipeFate

AGENT_RESTART_S: Final = 1.0  # Talos restarts an ended agent after about this time

RunAgent = Callable[["VirtualMachine", str], Awaitable[None]]
"""Runs an agent for a machine, dialling an address, until its tunnel ends; cancelled when the power goes."""
MakeBmc = Callable[["VirtualMachine"], VirtualBmc]


class VirtualMachine(Hardware):
    """One machine. All methods belong to the event loop that it runs in."""

    def __init__(
        self, identity: Identity, around: Surroundings, run_agent: RunAgent, make_bmc: MakeBmc = VirtualApiBmc
    ) -> None:
        super().__init__(identity)
        self.around = around
        self.bmc = make_bmc(self)
        self.agent_hangs = False
        self._run_agent = run_agent
        self._boot: asyncio.Task[None] | None = None
        self._agent: asyncio.Future[None] | None = None

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
        self.stage, self.tunnel, self.image = Stage.OFF, None, None
        if self._boot is not None:
            self._boot.cancel()

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        """Boot, once the boot before has really ended."""
        if before is not None and not before.done():
            await asyncio.wait({before})
        await Boot(self, self.around, self._agents).run()

    async def _agents(self, address: str) -> None:
        """Run agent after agent: Talos starts an ended one again."""
        while True:
            self.counts["agent started"] += 1
            self._agent = asyncio.ensure_future(self._run_agent(self, address))
            try:
                await asyncio.wait({self._agent})
            except asyncio.CancelledError:
                self._agent.cancel()
                await asyncio.wait({self._agent})
                raise
            finally:
                self.tunnel = None
            if not self._agent.cancelled() and (error := self._agent.exception()):
                self.trouble("agent ended", str(error))
            await asyncio.sleep(AGENT_RESTART_S)
