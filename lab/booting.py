"""One boot of a virtual machine, from power-on until the power goes.

The machine learns only what a real one learns: the firmware asks for a boot script and obeys it, the Talos in the
image fetches its configuration and joins Omni, the agent in it dials where the kernel arguments say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from lab.fetch import Fetched, FetchError, fetch
from lab.firmware import LocalDisk, NetbootError, TalosImage, netboot
from lab.hardware import Hardware, Stage
from lab.talos_config import ConfigRefused, TalosConfig, read_config
from lab.tls import Trust, unpack_inline
from lab.wiping import WipePlan

NETBOOT_RETRY_S: Final = 1.0  # the boot loop of a NIC comes round again about this fast
JOIN_RETRY_S: Final = 1.0  # how often a Talos that cannot join tries again


class OmniSide(Protocol):
    """What a machine does at Omni."""

    def join(self, machine_id: str, *, join_token: str) -> object:
        """Call in with the token of the configuration; returns something false if Omni does not let it in yet."""

    def connected(self, machine_id: str) -> None:
        """The machine's connection to Omni is up."""

    def disconnected(self, machine_id: str) -> None:
        """The machine's connection to Omni is gone."""

    def booted(self, machine_id: str) -> None:
        """An installed Talos has started."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a machine is plugged into.

    provider_url: where its firmware fetches boot scripts.
    boot_s: how long the firmware takes, and how long an installation takes.
    wipe_s: how long a wipe takes.
    """

    omni: OmniSide
    provider_url: str
    boot_s: float = 1.0
    wipe_s: float = 2.0
    wipes: WipePlan = field(default_factory=WipePlan)


class Boot:
    """One boot. `run_agents` runs the agent at an address for as long as the machine is in agent mode."""

    def __init__(self, machine: Hardware, around: Surroundings, run_agents: Callable[[str], Awaitable[None]]) -> None:
        self._machine = machine
        self._around = around
        self._run_agents = run_agents

    async def run(self) -> None:
        """Boot, and run what was booted; never returns by itself."""
        machine = self._machine
        await asyncio.sleep(self._around.boot_s)
        from_network, machine.armed = machine.armed or not machine.installed, False
        if from_network:
            await self._network_boot()
        else:
            await self._talos()

    async def _network_boot(self) -> None:
        while True:
            try:
                outcome = await netboot(self._around.provider_url, self._machine.identity, self._fetch)
            except NetbootError as error:
                self._machine.trouble("network boot failed", str(error))
                await asyncio.sleep(NETBOOT_RETRY_S)
                continue
            if isinstance(outcome, TalosImage):
                return await self._loaded(outcome)
            if await self._disk_boot(outcome):
                return None
            await asyncio.sleep(NETBOOT_RETRY_S)

    async def _disk_boot(self, outcome: LocalDisk) -> bool:
        self._machine.counts["told to boot its disk"] += 1
        if self._machine.installed:
            await self._talos()
            return True
        self._machine.stage = Stage.NOTHING_TO_BOOT
        self._machine.trouble("nothing to boot", outcome.reason)
        return False

    async def _loaded(self, image: TalosImage) -> None:
        self._machine.image, self._machine.last_error = image, ""
        if image.half_an_agent:
            self._machine.complaints.append("the agent is in the image but not in the arguments, or the reverse")
        self._machine.counts["booted agent" if image.is_agent else "booted installer"] += 1
        self._machine.stage = Stage.JOINING
        await self._join(image)
        if image.is_agent:
            self._machine.stage = Stage.AGENT
            await self._connected(self._run_agents(image.argument("metal.provider.address")))
        else:
            self._machine.stage = Stage.INSTALLING
            await asyncio.sleep(self._around.boot_s)
            self._machine.installed = True
            await self._talos()

    async def _talos(self) -> None:
        self._machine.stage = Stage.TALOS
        self._machine.counts["booted Talos"] += 1
        self._around.omni.booted(self._machine.id)
        await self._connected(asyncio.Event().wait())

    async def _connected(self, life: Awaitable[object]) -> None:
        self._around.omni.connected(self._machine.id)
        try:
            await life
        finally:
            self._around.omni.disconnected(self._machine.id)

    async def _join(self, image: TalosImage) -> None:
        """Fetch the machine configuration and call in at Omni, as every Talos does first."""
        while True:
            config = await self._configured(image)
            if config and self._around.omni.join(self._machine.id, join_token=config.join_token):
                return
            self._machine.counts["join waited"] += 1
            await asyncio.sleep(JOIN_RETRY_S)

    async def _configured(self, image: TalosImage) -> TalosConfig | None:
        """The configuration, with whom it trusts taken over."""
        url = image.argument("talos.config").replace("${uuid}", self._machine.id)
        try:
            answer = await self._fetch(url)
            config = read_config(answer)
            self._trust(image, answer.text, config)
        except (FetchError, ConfigRefused, ValueError) as error:
            self._machine.trouble("no machine configuration", f"{url}: {error}")
            return None
        return config

    def _trust(self, image: TalosImage, fetched: str, config: TalosConfig) -> None:
        """The configuration in the arguments must be the one that was fetched."""
        inline = image.argument("talos.config.inline")
        if inline and unpack_inline(inline) != fetched:
            self._machine.counts["configurations differ"] += 1
        skip = image.argument("metal.provider.tls.skip.verify") == "1"
        self._machine.trust = Trust(config.roots if inline else "", skip)

    async def _fetch(self, url: str) -> Fetched:
        self._machine.counts["fetched"] += 1
        return await fetch(url)
