"""Whether a tunnel may be held for a machine that has one already.

From the address of the first tunnel the second one is let in unasked: machines dial again. From another address it may
be anybody, since agents show nothing but a machine id; so the agent at the first tunnel is greeted, in this gateway or
in the one that holds it. If it answers, the second tunnel is refused, and whatever runs over the first one goes on. If
not, as after a reboot with another lease, the second one is let in. Meanwhile the second one counts as nothing: it is
neither held nor registered, and nobody calls its agent.

Without Redis only this gateway's own tunnels are known.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final, NoReturn

import structlog

from app.agents.presence import Presence
from app.agents.session import Session, answers

log = structlog.get_logger()

# An agent answers within milliseconds, also amid a wipe; a machine that came back with another lease waits for this.
ASK_LIMIT_S: Final = 2.0
# Tunnels that may ask about one machine at a time. An honest one comes alone, and dials again.
ASKING: Final = 8
# While a tunnel asks, the first one may give way to a third from yet another place; so often that is looked at anew.
ROUNDS: Final = 3
# A refused agent dials again each second or so: one line in a while is enough, for so many at a time.
SAY_EVERY_S: Final = 60.0
SAID_OF: Final = 1_000

AskElsewhere = Callable[[str, str, float], Awaitable[bool]]
"""Address of a gateway, machine id, limit in seconds: whether the agent that it holds answers."""


class TunnelRefused(Exception):
    """The machine has a tunnel whose agent answers; the text is for the agent that was refused."""


@dataclass(frozen=True, slots=True)
class _First:
    """The tunnel that stands, at another address. key: two with the same one are the same tunnel."""

    address: str
    key: object
    ask: Callable[[], Awaitable[bool]] = field(compare=False)


class Admission:
    """Lets second tunnels in, or refuses them."""

    def __init__(self, presence: Presence, ask_elsewhere: AskElsewhere) -> None:
        self._presence = presence
        self._ask_elsewhere = ask_elsewhere
        self._asking = Counter[str]()
        self._seldom = _Seldom()

    async def admit(self, session: Session) -> None:
        """Return when this tunnel may be held; it must be at once. Raises TunnelRefused."""
        first = await self._first(session)
        if first is None:
            return
        machine_id = session.machine_id
        if self._asking[machine_id] >= ASKING:
            await self._refuse(session, first, "whose agent is being asked for others")
        self._asking[machine_id] += 1
        try:
            await self._hold_against(session, first)
        finally:
            self._asking[machine_id] -= 1
            if not self._asking[machine_id]:
                del self._asking[machine_id]

    async def _hold_against(self, session: Session, first: _First) -> None:
        for _ in range(ROUNDS):
            if await first.ask():
                break
            now = await self._first(session)
            if now is None or now == first:
                return
            first = now
        await self._refuse(session, first, "whose agent answers")

    async def _first(self, session: Session) -> _First | None:
        """The newest tunnel of the machine, if it came from another address."""
        presence, machine_id = self._presence, session.machine_id
        entry = await presence.registered(machine_id)
        held = presence.held(machine_id)  # after the wait for Redis: nothing changes until the caller has decided
        elsewhere = entry is not None and entry.gateway != presence.gateway_id
        if entry and elsewhere and (held is None or (held.number is not None and entry.number > held.number)):
            ask = partial(self._ask_elsewhere, entry.address, machine_id, ASK_LIMIT_S)
            first = _First(entry.peer, (entry.gateway, entry.number), ask)
        elif held is not None:
            first = _First(held.address, held, partial(answers, held.agent, ASK_LIMIT_S))
        else:
            return None
        return None if first.address == session.address else first

    async def _refuse(self, session: Session, first: _First, why: str) -> NoReturn:
        machine_id, address = session.machine_id, session.address
        refused = self._seldom.unsaid((machine_id, address))
        if refused:
            log.warning(
                "tunnel_refused", machine_id=machine_id, address=address, stands_from=first.address, refused=refused
            )
        await self._presence.refused(session)
        raise TunnelRefused(f"the machine has a tunnel from another address, {why}")


class _Seldom:
    """What happens often, said now and then."""

    def __init__(self) -> None:
        self._said: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def unsaid(self, key: tuple[str, str]) -> int:
        """How often it has happened, this time too, since it was last said; 0: it is not to be said yet."""
        said_s, count = self._said.pop(key, (-math.inf, 0))
        due = monotonic() - said_s >= SAY_EVERY_S
        self._said[key] = (monotonic(), 0) if due else (said_s, count + 1)
        if len(self._said) > SAID_OF:
            self._said.popitem(last=False)
        return count + 1 if due else 0
