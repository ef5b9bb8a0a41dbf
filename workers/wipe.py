"""Wipe all disks of a machine through its agent.

The gateway owns the call to the agent; this task only waits for it. So a worker that dies wipes nothing twice: the
next task joins the wipe that runs, or gets the success that is kept, and records it.
"""

from __future__ import annotations

from typing import Any

from app.agents.client import WipeTicket
from app.agents.errors import (
    AgentFailed,
    AgentGone,
    AgentTimeout,
    GatewayUnreachable,
    StaleFence,
    WipeRefused,
)
from app.machine.model import InfraMachine, OperationName, Phase, WipeStatus
from app.omni.kinds import Kind
from config.celery import QUEUE_WIPE
from workers.celery_app import app
from workers.errors import AgentRefused, AgentUnavailable, WipeNotPossible
from workers.keeper import LeaseLost
from workers.operation import perform
from workers.turn import NotDue, Procedure, Turn, confirm


def wipe_disks(turn: Turn) -> str:
    """Have the disks wiped, and record it with the values that the machine had when the wipe began."""
    ticket = _wipe(turn)
    confirm(turn.services, turn.machine.id, (Kind.INFRA_MACHINE,))
    infra_machine = turn.services.mirror.load(turn.machine.id).infra_machine
    if infra_machine is None or infra_machine.meta.phase is Phase.TEARING_DOWN:
        raise NotDue("the disks were wiped, but the machine is being removed: there is nothing to record")

    def record(spec: Any) -> None:
        spec.initial_wipe_done = True
        spec.last_wipe_id = ticket.wipe_id
        spec.last_wipe_install_event_id = ticket.install_event_id
        spec.wiped_node_unique_token = ticket.node_unique_token

    turn.store(Kind.WIPE_STATUS, record)
    return "wiped all disks" + (f" for wipe id {ticket.wipe_id!r}" if ticket.wipe_id else "")


def _wipe(turn: Turn) -> WipeTicket:
    """The wipe itself: begun, joined, or known to have succeeded."""
    settings, infra_machine, status = turn.services.settings, turn.machine.infra_machine, turn.machine.wipe_status
    if infra_machine is None:
        raise NotDue("Omni does not know the machine")
    wanted = WipeTicket(
        wipe_id=infra_machine.wipe_id,
        install_event_id=infra_machine.install_event_id,
        node_unique_token=infra_machine.node_unique_token,
        wipe_status_version=_version(infra_machine, status),
    )
    zeroes = settings.wipe_with_zeroes
    limit_s = settings.agent_zeroes_wipe_timeout_s if zeroes else settings.agent_fast_wipe_timeout_s
    try:
        return turn.services.gateway.wipe(
            turn.machine.id, wanted, zeroes=zeroes, timeout_s=limit_s, fence=turn.guard.lease.fence
        )
    except WipeRefused as error:
        raise WipeNotPossible(f"the agent refuses to wipe: {error}") from None
    except StaleFence:
        raise LeaseLost("a later operation has taken the machine") from None
    except (AgentGone, GatewayUnreachable) as error:
        raise AgentUnavailable(f"the agent went away during the wipe: {error}") from None
    except AgentTimeout:
        raise AgentRefused(f"the wipe took longer than {limit_s:g} s") from None
    except AgentFailed as error:
        raise AgentRefused(f"the agent failed to wipe: {error}") from None


def _version(infra_machine: InfraMachine, status: WipeStatus | None) -> str:
    """Which WipeStatus it is that stands or is missing: one of a machine that was removed since is another one.

    What was wiped before a machine was removed says nothing of what was written to its disks until it came back.
    """
    stands = f"{status.meta.created_ns}.{status.meta.version}" if status else "none"
    return f"{infra_machine.meta.created_ns}/{stands}"


WIPE = Procedure(
    OperationName.WIPE,
    wipe_disks,
    # The last one tells a machine that was never wiped from one whose record is lost.
    confirms=(Kind.INFRA_MACHINE, Kind.WIPE_STATUS, Kind.INFRA_MACHINE_STATUS),
)


@app.task(name="wipe", queue=QUEUE_WIPE, bind=True)  # type: ignore[untyped-decorator]
def wipe(self: Any, machine_id: str, operation_id: str | None = None) -> str:
    """Wipe the machine's disks, if that is due."""
    return perform(self, WIPE, machine_id, operation_id)
