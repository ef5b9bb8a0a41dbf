"""Waiting with a limit that a pause of this process does not use up."""

from __future__ import annotations

import asyncio
from typing import Any, Final

# The limit is waited for in parts. When this process itself was held up (stopped, or short of processor time) only one
# part passes meanwhile, and the answers that wait in its sockets are read before anybody is called dead.
PARTS: Final = 10


async def done_within(work: asyncio.Future[Any], limit_s: float) -> bool:
    """Whether this is done within the limit; it goes on where it is not."""
    for _ in range(PARTS):
        done, _ = await asyncio.wait({work}, timeout=limit_s / PARTS)
        if done:
            return True
    return False
