"""The agent on a virtual machine: what it answers to the provider's calls."""

from __future__ import annotations

import asyncio

import grpc

from lab.agent import AgentRefusal, IpmiAddress, IpmiLogin, LabAgent
from lab.machine import VirtualMachine
from lab.wiping import WipeFailedError


class MachineAgent:
    """Answers for one machine.

    The agent says where the BMC is and makes the provider's user there; as in its test mode, it may name the API kind.
    """

    def __init__(self, machine: VirtualMachine) -> None:
        self._machine = machine

    async def hello(self) -> None:
        """Say that somebody is there."""
        await self._called("hello")

    async def get_power_management(self) -> IpmiAddress | None:
        """Where the machine's BMC is, if it has one with a login."""
        await self._called("get power management")
        return IpmiAddress(*self._machine.ipmi) if self._machine.ipmi else None

    async def set_power_management(self, login: IpmiLogin | None) -> None:
        """Make the BMC user; nothing is to be set for the HTTP API kind."""
        await self._called("set power management")
        if login is None:
            return
        self._machine.passwords.append(login.password)
        if self._machine.counts["BMC user refused"] < self._machine.refuse_bmc_users:
            self._machine.counts["BMC user refused"] += 1
            words = f"ipmitool user set password 4 {login.password}: command failed"
            raise AgentRefusal(grpc.StatusCode.UNKNOWN, words)
        try:
            self._machine.bmc.set_login(login.username, login.password)
        except ValueError as error:  # the BMC has no room for it
            raise AgentRefusal(grpc.StatusCode.UNKNOWN, str(error)) from None

    async def wipe_disks(self, zeroes: bool) -> None:  # noqa: ARG002, FBT001 - zeroes take no longer here
        """Wipe the machine's disks."""
        await self._called("wipe")
        try:
            await self._machine.wipe()
        except WipeFailedError as error:
            raise AgentRefusal(error.code, error.words) from error

    async def _called(self, name: str) -> None:
        """Count a call; a call to an agent that hangs never ends."""
        self._machine.counts[f"agent {name}"] += 1
        if self._machine.agent_hangs:
            await asyncio.Event().wait()


async def run_agent(machine: VirtualMachine, address: str) -> None:
    """Dial the provider and answer its calls until the tunnel ends."""
    agent = LabAgent(address, machine.id, MachineAgent(machine), trust=machine.trust)
    machine.tunnel = agent
    await agent.serve()
