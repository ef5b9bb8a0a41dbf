"""The BMCs of a rack: of which kind each is, how it fails, and where it listens.

BMCs of the `api` kind listen at the rack's host, each at a port of its own. The others have an address each, as in a
real rack: Redfish is looked for at one port of all addresses, and must not be found where there is only IPMI.
"""

from __future__ import annotations

from collections.abc import Sequence
from errno import EADDRNOTAVAIL
from typing import Final

from lab.bmc.chassis import BmcKind, VirtualBmc
from lab.bmc.dice import Dice, Odds
from lab.bmc.kinds import make_bmc
from lab.machine import VirtualMachine
from lab.ports import free_port

NETWORK: Final = "127.77.0.0/16"
HOSTS_PER_BLOCK: Final = 250  # 127.77.0.1 to 127.77.0.250, then 127.77.1.1
IPMI_PORT: Final = 623  # what agents name, also where nobody speaks IPMI there


class RackError(Exception):
    """The rack cannot be as it was asked for; the words say why, and what to do."""


class RackBmcs:
    """Makes the BMCs of a rack, machine by machine, and lets them listen.

    Args:
        kinds: they take turns.
        odds: how likely each fault is at each BMC.
        seed: what the dice begin with; the same seed gives each machine the same dice.
        host: where BMCs of the `api` kind listen.
    """

    def __init__(self, kinds: Sequence[BmcKind], odds: Odds, seed: int, host: str) -> None:
        self._kinds, self._odds, self._seed, self._host = tuple(kinds), odds, seed, host
        self.redfish_port = 0

    def kind(self, index: int) -> BmcKind:
        """The kind of the machine with this number, counted from 0."""
        return self._kinds[index % len(self._kinds)]

    def make(self, index: int, machine: VirtualMachine) -> VirtualBmc:
        """The BMC of this machine."""
        return make_bmc(self.kind(index), machine, machine.id, Dice(self._odds, f"{self._seed}/{machine.id}"))

    async def serve(self, machines: Sequence[VirtualMachine]) -> None:
        """Let all listen, and tell the agents where. Raises RackError."""
        for index, machine in enumerate(machines):
            kind = self.kind(index)
            host = self._host if kind is BmcKind.API else own_address(index)
            port = await self._serve(machine, host, self.redfish_port if kind is BmcKind.REDFISH else 0)
            if kind is BmcKind.REDFISH:
                self.redfish_port = port
                machine.ipmi = (host, IPMI_PORT)
            elif kind is BmcKind.IPMI:
                machine.ipmi = (host, port)
        self.redfish_port = self.redfish_port or free_port()

    def provider_options(self) -> list[str]:
        """The options with which a provider reaches them, once they listen."""
        if set(self._kinds) == {BmcKind.API}:
            return []
        return [f"--redfish-port={self.redfish_port}", f"--bmc-allowed-cidrs={NETWORK}"]

    async def _serve(self, machine: VirtualMachine, host: str, port: int) -> int:
        try:
            return await machine.bmc.serve(host, port)
        except OSError as error:
            why = f"the BMC of {machine.id} cannot listen at {host}: {error.strerror or error}"
            if error.errno != EADDRNOTAVAIL or host == self._host:
                raise RackError(why) from None
            remedy = "Linux has all of 127.0.0.0/8; elsewhere, `--bmc-kinds=api` does with one address"
            raise RackError(f"{why}. {remedy}") from None


def own_address(index: int) -> str:
    """The address of the BMC of the machine with this number, counted from 0."""
    block, place = divmod(index, HOSTS_PER_BLOCK)
    return f"127.77.{block}.{place + 1}"
