"""The wipes that this gateway runs, and the ones that it ran lately.

The book owns the calls: a caller that goes away, or dies, ends nothing. Whoever asks while a wipe of the machine runs
joins it, and is told the ticket with which it began: those are the values that it may record. After the end only a
success is kept, for an hour, and only for a request whose ticket is the same in every value; a failure is told to
those who wait and forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from app.agents.errors import AgentError, AgentGone

log = structlog.get_logger()

# Long enough for a worker's death, the end of its lease and the next attempt; an hour also spans a parked retry.
KEEP_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class WipeTicket:
    """What a wipe was decided on: the InfraMachine's values, and the version of WipeStatus (empty when absent)."""

    wipe_id: str
    install_event_id: int
    node_unique_token: str
    wipe_status_version: str


@dataclass(frozen=True, slots=True)
class _Running:
    ticket: WipeTicket
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class _Success:
    ticket: WipeTicket
    until_s: float


class WipeBook:
    """The running and the lately succeeded wipes, by machine."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._running: dict[str, _Running] = {}
        self._succeeded: dict[str, _Success] = {}
        self._stopping = False

    def running(self, machine_id: str) -> bool:
        """Whether a wipe of the machine runs."""
        return machine_id in self._running

    async def wipe(self, machine_id: str, ticket: WipeTicket, begin: Callable[[], Awaitable[None]]) -> WipeTicket:
        """Join the wipe that runs, take the success that is kept, or begin one.

        Returns:
            The ticket with which the wipe that answers began.

        Raises:
            AgentError: the wipe failed.
        """
        running = self._running.get(machine_id)
        if running is None:
            if self._kept(machine_id, ticket):
                log.info("wipe_answered_by_kept_success", machine_id=machine_id)
                return ticket
            running = self._begin(machine_id, ticket, begin)
        else:
            log.info("wipe_joined", machine_id=machine_id)
        await asyncio.shield(running.task)
        return running.ticket

    async def stop(self, limit_s: float) -> None:
        """Begin no more wipes, and wait up to `limit_s` for those that run."""
        self._stopping = True
        tasks = [running.task for running in self._running.values()]
        if tasks:
            log.info("waiting_for_wipes", wipes=len(tasks), limit_s=limit_s)
            await asyncio.wait(tasks, timeout=limit_s)

    def _kept(self, machine_id: str, ticket: WipeTicket) -> bool:
        kept = self._succeeded.get(machine_id)
        return kept is not None and kept.ticket == ticket and self._clock_s() < kept.until_s

    def _begin(self, machine_id: str, ticket: WipeTicket, begin: Callable[[], Awaitable[None]]) -> _Running:
        if self._stopping:
            raise AgentGone("the gateway is stopping; the agent will dial another one")
        self._succeeded.pop(machine_id, None)
        task = asyncio.ensure_future(self._run(machine_id, ticket, begin))
        task.add_done_callback(_look_at_failure)
        running = self._running[machine_id] = _Running(ticket, task)
        return running

    async def _run(self, machine_id: str, ticket: WipeTicket, begin: Callable[[], Awaitable[None]]) -> None:
        began_s = self._clock_s()
        log.info("wipe_began", machine_id=machine_id, wipe_id=ticket.wipe_id)
        try:
            await begin()
        except AgentError as error:
            log.warning("wipe_failed", machine_id=machine_id, error=error.slug, words=str(error))
            raise
        finally:
            self._running.pop(machine_id, None)
        self._keep(machine_id, ticket)
        log.info("wipe_done", machine_id=machine_id, seconds=round(self._clock_s() - began_s, 1))

    def _keep(self, machine_id: str, ticket: WipeTicket) -> None:
        now_s = self._clock_s()
        self._succeeded = {m: kept for m, kept in self._succeeded.items() if kept.until_s > now_s}
        self._succeeded[machine_id] = _Success(ticket, now_s + KEEP_S)


def _look_at_failure(task: asyncio.Task[None]) -> None:
    """A failure that nobody waits for any more is not an accident; asyncio would report it as one."""
    if not task.cancelled():
        task.exception()
