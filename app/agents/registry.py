"""What gateways need of the registry of tunnels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from app.state.agents import Held, Standing
from app.state.facts import Tunnel


class Registry(Protocol):
    """`app.state.agents.AgentRegistry`, or a test's. Every call may raise `redis.RedisError`."""

    async def register(
        self, machine_id: str, gateway_id: str, address: str, tunnel_address: str, *, age_ms: int = 0, over: int = 0
    ) -> tuple[int, bool]:
        """Note a new tunnel; its number, and whether it stands."""

    async def hello(self, machine_id: str, number: int) -> bool:
        """The agent answered; False if the entry is not its tunnel's."""

    async def claim(self, machine_id: str, gateway_id: str, address: str, mine: Held) -> Standing:
        """Take the entry back for a tunnel whose agent has just answered."""

    async def renew(self, gateway_id: str, address: str, held: Mapping[str, Held]) -> dict[str, Standing]:
        """Keep the entries; the machines whose tunnels are lost or contested."""

    async def holder(self, machine_id: str) -> Tunnel | None:
        """The tunnel that is registered for a machine."""

    async def refused(self, machine_id: str, address: str) -> None:
        """A second tunnel of the machine was refused."""

    async def unregister(self, machine_id: str, number: int) -> None:
        """The tunnel ended."""

    async def leave(self, gateway_id: str) -> None:
        """The gateway ends."""

    async def count_without_tls(self) -> None:
        """A tunnel was opened without TLS although it is served."""
