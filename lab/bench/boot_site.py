"""The whole provider for the bench of boots, with stand-ins that take their time and a fleet that is settled.

async with BootSite(1000) as site:
    ...  # site.url answers boots
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from lab.bench.boot_fleet import put_fleet
from lab.bmc.api import VirtualApiBmc
from lab.bmc.chassis import Button
from lab.ports import free_port
from lab.product import Product
from lab.rack import Rack, RackOptions

FACTORY_DELAY_S: Final = 0.05
OMNI_DELAY_S: Final = 0.03
WEB_WORKERS: Final = 2
# A first report on each of a thousand machines, at 30 ms a call and eight at a time.
SETTLED_LIMIT_S: Final = 120.0
# Longer than the pause between two looks at a machine that waits for a moment.
QUIET_S: Final = 3.0
LOOK_S: Final = 0.2


class AlwaysOn:
    """What the one BMC of all machines is wired to."""

    powered_on, armed = True, False

    def commanded(self, button: Button) -> None:
        """Nothing is due on any of them. Raises AssertionError."""
        raise AssertionError(f"a machine of the bench was sent {button}")


class BootSite:
    """Omni, image factory and the provider; as an asynchronous context manager."""

    def __init__(self, machines: int) -> None:
        self._machines = machines
        options = RackOptions(0, provider_port=free_port(), factory_delay_s=FACTORY_DELAY_S, omni_delay_s=OMNI_DELAY_S)
        self._rack = Rack(options)
        self._bmc = VirtualApiBmc(AlwaysOn())
        self._ends = AsyncExitStack()
        self.ids: list[str] = []
        self.url = self._rack.provider_url
        self.product: Product

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as ends:
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="omni-metal-bench-")))
            await ends.enter_async_context(self._rack)
            await self._bmc.serve()
            ends.push_async_callback(self._bmc.stop)
            self.ids = put_fleet(self._machines, self._rack.omni, self._bmc.address)
            self.product = Product(self._arguments(folder), self.url, folder / "provider.log")
            ends.push_async_callback(self.product.stop)
            await self.product.start()
            await self.product.wait_up()
            self._ends = ends.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ends.aclose()

    @property
    def questions(self) -> int:
        """How often the image factory was asked for an id."""
        return self._rack.factory.calls["POST /schematics"]

    async def settle(self) -> None:
        """Wait until nothing is reported to Omni any more. Raises TimeoutError, `lab.product.ProductError`."""
        began_s = changed_s = time.monotonic()
        calls = -1
        while time.monotonic() - changed_s < QUIET_S:
            self.product.check()
            if time.monotonic() - began_s > SETTLED_LIMIT_S:
                raise TimeoutError(f"the provider has not settled after {SETTLED_LIMIT_S:g} s")
            await asyncio.sleep(LOOK_S)
            now = sum(count for name, count in self._rack.omni.calls.items() if "Health" not in name)
            if now != calls:
                calls, changed_s = now, time.monotonic()

    def _arguments(self, folder: Path) -> list[str]:
        return [
            *self._rack.provider_options(),
            f"--state-dir={folder}",
            f"--gateway-listen=127.0.0.1:{free_port()}",
            f"--flower-listen=127.0.0.1:{free_port()}",
            f"--web-workers={WEB_WORKERS}",
            "--boot-rate-limit=0",  # all of them come from one address here
        ]
