"""One machine's tunnel as the gateway holds it, and the greeting that keeps proving its agent alive."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Final

from app.agents.agent import Agent

# A frozen machine must be found within 30 s: at worst it freezes just after a greeting, so the pause and the limit of
# the next one add up to 28 s and leave two for closing.
GREETING_PAUSE_S: Final = 18.0
GREETING_LIMIT_S: Final = 10.0
# The limit is waited for in parts. When this process itself was held up (stopped, or short of processor time) only one
# part passes meanwhile, and the answers that wait in its sockets are read before anybody is called dead.
_LIMIT_PARTS: Final = 10
# What the agents' library cannot answer in time it may answer later; ours is the shorter limit.
_CALL_LIMIT_S: Final = 4 * GREETING_LIMIT_S


@dataclass(eq=False, slots=True)
class Session:
    """An open tunnel of a machine.

    number: its number in the registry; None until Redis has taken it.
    answered_s: when its agent last answered a greeting, by the monotonic clock; None = not yet.
    settled: set when the attempt to register it is over, whatever came of it.
    """

    machine_id: str
    address: str
    agent: Agent
    number: int | None = None
    answered_s: float | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self, reason: str) -> None:
        """End the tunnel."""
        self.agent.tunnel.close(reason)


async def greet(agent: Agent) -> bool:
    """Whether the agent answers within the limit of a greeting."""
    return await answers(agent, GREETING_LIMIT_S)


async def answers(agent: Agent, limit_s: float) -> bool:
    """Whether the agent answers a greeting within this limit.

    A greeting that fails is sent again while there is time: the agents' library merges equal calls, so ours may end
    with somebody else's.
    """
    part_s = limit_s / _LIMIT_PARTS
    greeting = asyncio.ensure_future(agent.hello(_CALL_LIMIT_S))
    try:
        for _ in range(_LIMIT_PARTS):
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
