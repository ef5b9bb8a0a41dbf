"""One machine's tunnel as the gateway holds it, and the greeting that keeps proving its agent alive."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from app.agents.agent import Agent
from app.agents.patience import PARTS
from app.state.agents import Held

# A frozen machine must be found within 30 s: at worst it freezes just after a greeting, so the pause and the limit of
# the next one add up to 28 s and leave two for closing.
GREETING_PAUSE_S: Final = 18.0
GREETING_LIMIT_S: Final = 10.0
# What the agents' library cannot answer in time it may answer later; ours is the shorter limit.
_CALL_LIMIT_S: Final = 4 * GREETING_LIMIT_S


@dataclass(eq=False, slots=True)
class Session:
    """An open tunnel of a machine. Times in seconds by the monotonic clock.

    opened_s: since when it is there.
    over: the number of the tunnel from another address that it may take the place of; 0 = none.
    number: its number in the registry; None until Redis has taken it.
    answered_s: when its agent last answered a greeting; None = not yet.
    settled: set when the attempt to register it is over, whatever came of it.
    """

    machine_id: str
    address: str
    agent: Agent
    opened_s: float = field(default_factory=monotonic)
    over: int = 0
    number: int | None = None
    answered_s: float | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self, reason: str) -> None:
        """End the tunnel."""
        self.agent.tunnel.close(reason)

    @property
    def age_ms(self) -> int:
        """How long it has been there, at least 1."""
        return max(1, _ms_since(self.opened_s))

    def as_held(self, number: int) -> Held:
        """What the registry is told of it now."""
        hello_age_ms = -1 if self.answered_s is None else _ms_since(self.answered_s)
        return Held(number, self.age_ms, hello_age_ms, self.address)


async def greet(agent: Agent) -> bool:
    """Whether the agent answers within the limit of a greeting."""
    return await answers(agent, GREETING_LIMIT_S)


async def answers(agent: Agent, limit_s: float) -> bool:
    """Whether the agent answers a greeting within this limit.

    A greeting that fails is sent again while there is time: the agents' library merges equal calls, so ours may end
    with somebody else's.
    """
    part_s = limit_s / PARTS
    greeting = asyncio.ensure_future(agent.hello(_CALL_LIMIT_S))
    try:
        for _ in range(PARTS):
            done, _ = await asyncio.wait({greeting}, timeout=part_s)
            if not done:
                continue
            if not greeting.exception():
                return True
            if not agent.tunnel.open:
                return False
            await asyncio.sleep(part_s)
            greeting = asyncio.ensure_future(agent.hello(_CALL_LIMIT_S))
        return False
    finally:
        greeting.cancel()


def pause_s(*, first: bool) -> float:
    """How long to wait before the next greeting; the first pause is random, so that a rack does not answer in step."""
    return random.uniform(0.2, 1.0) * GREETING_PAUSE_S if first else GREETING_PAUSE_S  # noqa: S311 - no secret


def _ms_since(then_s: float) -> int:
    return round((monotonic() - then_s) * 1000)
