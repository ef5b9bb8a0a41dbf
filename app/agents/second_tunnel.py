"""Whether a tunnel may be held for a machine that has one already.

From the address of the first tunnel the second one is let in unasked: machines dial again. From another address it may
be anybody, since agents show nothing but a machine id; so the agent at the first tunnel is greeted, in this gateway or
in the one that holds it. If it answers, the second tunnel is refused, and whatever runs over the first one goes on. If
not, as after a reboot with another lease, the second one is let in. Meanwhile the second one counts as nothing: it is
neither held nor registered, and nobody calls its agent.

Without Redis only this gateway's own tunnels are known. Where Redis is there and does not answer in time, or too many
ask, nobody is let in unasked: the agent is told to dial again.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Final, NoReturn, TypeVar

import structlog

from app.agents.presence import Presence, RegistrySilent
from app.agents.session import Session, answers

log = structlog.get_logger()

# An agent answers within milliseconds, also amid a wipe; a machine that came back with another lease waits for this.
ASK_LIMIT_S: Final = 2.0
# Tunnels that may ask about one machine at a time. An honest one comes alone, and dials again.
ASKING: Final = 8
# Tunnels of one machine from one address that may wait for Redis at a time: others must not keep out the machine's own.
WAITING: Final = 8
# And of all machines: as many answers as Redis gives within the limit, also on a busy host.
WAITING_IN_ALL: Final = 2_000
# While a tunnel asks, the first one may give way to a third from yet another place; so often that is looked at anew.
ROUNDS: Final = 3
# A refused agent dials again each second or so: one line in a while is enough, for so many at a time.
SAY_EVERY_S: Final = 60.0
SAID_OF: Final = 1_000

_Key = TypeVar("_Key")

AskElsewhere = Callable[[str, str, float], Awaitable[bool]]
"""Address of a gateway, machine id, limit in seconds: whether the agent that it holds answers."""


class TunnelRefused(Exception):
    """The machine has a tunnel whose agent answers, or may have one; the text is for the agent that was refused."""


@dataclass(frozen=True, slots=True)
class _First:
    """A tunnel that stands, at another address.

    key: two with the same one are the same tunnel.
    number: what the registry knows it by, where that must be told to give way; else 0.
    """

    address: str
    key: object
    number: int
    ask: Callable[[], Awaitable[bool]] = field(compare=False)


class Admission:
    """Lets second tunnels in, or refuses them."""

    def __init__(self, presence: Presence, ask_elsewhere: AskElsewhere) -> None:
        self._presence = presence
        self._ask_elsewhere = ask_elsewhere
        self._asking = Counter[str]()
        self._waiting = Counter[tuple[str, str]]()
        self._waiting_in_all = 0
        self._refusals, self._put_offs = _Seldom(), _Seldom()

    async def admit(self, session: Session) -> None:
        """Return when this tunnel may be held; it must be at once. Raises TunnelRefused."""
        with self._place(session):
            firsts = await self._firsts(session)
            if firsts:
                session.over = await self._hold_against(session, firsts)

    @contextlib.contextmanager
    def _place(self, session: Session) -> Iterator[None]:
        """A place among those that wait."""
        key = (session.machine_id, session.address)
        if self._waiting[key] >= WAITING or self._waiting_in_all >= WAITING_IN_ALL:
            raise self._put_off(session, "too many tunnels are being opened")
        with _counted(self._waiting, key):
            self._waiting_in_all += 1
            try:
                yield
            finally:
                self._waiting_in_all -= 1

    async def _hold_against(self, session: Session, firsts: Sequence[_First]) -> int:
        """The registry's number of the first tunnel, now that all agents were found to be silent; 0 = it has none."""
        if self._asking[session.machine_id] >= ASKING:
            raise self._put_off(session, "the agent at another tunnel is being asked for others")
        silent: list[_First] = []
        with _counted(self._asking, session.machine_id):
            for _ in range(ROUNDS):
                first = next(each for each in firsts if each not in silent)
                if await first.ask():
                    await self._refuse(session, first)
                silent.append(first)
                firsts = await self._firsts(session)
                if all(each in silent for each in firsts):
                    return max((each.number for each in firsts), default=0)
        raise self._put_off(session, "its tunnels change all the time")

    async def _firsts(self, session: Session) -> Sequence[_First]:
        """The tunnels that the machine has at other addresses: here, and newer at another gateway.

        The one here may live though a newer one is registered, which came in unasked. Raises TunnelRefused.
        """
        presence, machine_id = self._presence, session.machine_id
        try:
            entry = await presence.registered(machine_id)
        except RegistrySilent:
            raise self._put_off(session, "Redis does not say in time whether the machine has another tunnel") from None
        held = presence.held(machine_id)  # after the wait for Redis: nothing changes until the caller has decided
        firsts = []
        if held is not None:
            firsts.append(_First(held.address, held, 0, partial(answers, held.agent, ASK_LIMIT_S)))
        elsewhere = entry is not None and entry.gateway != presence.gateway_id
        if entry and elsewhere and (held is None or (held.number is not None and entry.number > held.number)):
            ask = partial(self._ask_elsewhere, entry.address, machine_id, ASK_LIMIT_S)
            firsts.append(_First(entry.peer, (entry.gateway, entry.number), entry.number, ask))
        return [first for first in firsts if first.address != session.address]

    async def _refuse(self, session: Session, first: _First) -> NoReturn:
        machine_id, address = session.machine_id, session.address
        refused = self._refusals.unsaid((machine_id, address))
        if refused:
            log.warning(
                "tunnel_refused", machine_id=machine_id, address=address, stands_from=first.address, refused=refused
            )
        await self._presence.refused(session)
        raise TunnelRefused("the machine has a tunnel from another address, whose agent answers")

    def _put_off(self, session: Session, why: str) -> TunnelRefused:
        """Nothing is known against this tunnel, nor for it: its agent has to dial again."""
        times = self._put_offs.unsaid(why)
        if times:
            log.warning(
                "tunnel_put_off", machine_id=session.machine_id, address=session.address, reason=why, times=times
            )
        return TunnelRefused(f"{why}: dial again")


@contextlib.contextmanager
def _counted(counter: Counter[_Key], key: _Key) -> Iterator[None]:
    """Count this one meanwhile, and keep no zeroes."""
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


class _Seldom:
    """What happens often, said now and then."""

    def __init__(self) -> None:
        self._said: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def unsaid(self, key: Hashable) -> int:
        """How often it has happened, this time too, since it was last said; 0: it is not to be said yet."""
        said_s, count = self._said.pop(key, (-math.inf, 0))
        due = monotonic() - said_s >= SAY_EVERY_S
        self._said[key] = (monotonic(), 0) if due else (said_s, count + 1)
        if len(self._said) > SAID_OF:
            self._said.popitem(last=False)
        return count + 1 if due else 0
