"""One turn with a machine: its picture, confirmed against Omni and its BMC, and the operation that is due on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import redis
import structlog

from app.agents.errors import GatewayUnreachable
from app.machine import verbs
from app.machine.decide import decide, operation_id
from app.machine.model import Decision, Machine, Operation, OperationName, PowerState
from app.omni.kinds import Kind
from app.omni.resource import Resource
from app.state.deciding import decide_options
from workers.bmc.client import Bmc
from workers.bmc.errors import BmcAuthenticationFailed, BmcError, BmcUnsupported
from workers.keeper import DecideAnew, Guard
from workers.services import Services

log = structlog.get_logger()

# As long as one call to Omni may take. A BMC or an Omni that falters may hold an operation up for longer.
CONFIRMED_FOR_S = 10.0


class NotDue(Exception):
    """The operation is not due, or must wait; the text says why. again_s: when to look again; 0 = soon."""

    def __init__(self, words: str, again_s: float = 0.0) -> None:
        super().__init__(words)
        self.again_s = again_s


class PowerUnreadable(Exception):
    """An operation is due by what is known, but its BMC does not say the power state, without which nothing is done."""

    def __init__(self, operation: Operation, error: BmcError) -> None:
        super().__init__(str(error))
        self.operation = operation
        self.error = error


@dataclass(frozen=True, slots=True)
class Procedure:
    """How an operation is done.

    confirms: the resources that are read from Omni itself before it acts.
    reads_power: `must` = its BMC is asked first, and not at all if that fails; `try` = asked, may fail; `` = not.
    waits_for_wipe: it does not begin while a gateway still runs a wipe of the machine.
    act: does it; the answer says in words what was done.
    """

    name: OperationName
    act: Callable[[Turn], str]
    confirms: tuple[Kind, ...] = ()
    reads_power: str = ""
    waits_for_wipe: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What `Procedure.act` works with."""

    services: Services
    machine: Machine
    decision: Decision
    operation: Operation
    guard: Guard
    session: Bmc | None
    no_session: BmcError | None = None
    began_s: float = 0.0

    @property
    def bmc(self) -> Bmc:
        """The session with the machine's BMC. Raises the BmcError that prevented it."""
        if self.session is None:
            raise self.no_session or BmcUnsupported("no BMC is configured", executed=False)
        return self.session

    def store(self, kind: Kind, edit: Callable[[Any], None]) -> Resource:
        """Change our record of the machine in Omni (made when missing), and in the mirror. Raises LeaseLost.

        Whoever lost the lease may be hours late, and would write over what others have done since.
        """
        self.guard.check_still_ours()
        known = self.services.mirror.resource(kind, self.machine.id)
        resource = self.services.omni.update(
            kind, self.machine.id, lambda draft: edit(draft.spec), known=known, create=True, absent=known is None
        )
        try:
            self.services.mirror.put(resource)
        except redis.RedisError as error:  # the watch will tell it; what was written stands
            log.warning("mirror_not_told", kind=kind.value, error=type(error).__name__)
        return resource

    def read_power(self) -> PowerState:
        """Ask the BMC, and note the answer."""
        state = self.bmc.power_state()
        self.services.power_notes.observed({self.machine.id: state})
        return state

    def check_wish(self) -> None:
        """Ask Omni again where the last time is too long ago to act on. Raises DecideAnew, OmniError."""
        if time.monotonic() - self.began_s < CONFIRMED_FOR_S:
            return
        confirm(self.services, self.machine.id, (Kind.INFRA_MACHINE,))
        if self.services.mirror.load(self.machine.id).infra_machine != self.machine.infra_machine:
            raise DecideAnew

    def about_to_act(self) -> None:
        """The last check before a power command. Raises LeaseLost, DecideAnew."""
        self.guard.check()
        self.services.power_notes.acted(self.machine.id)
        self.guard.check()  # nothing may come between this and the command, such as a host that stands still


@contextmanager
def begin(services: Services, procedure: Procedure, machine_id: str, guard: Guard) -> Iterator[Turn]:
    """Confirm, decide, and hand out the turn. Raises NotDue, PowerUnreadable, OmniError, LeaseLost, DecideAnew."""
    began_s = time.monotonic()
    confirm(services, machine_id, procedure.confirms)
    machine, settling = services.mirror.load_to_act(machine_id)
    if settling:
        raise NotDue(settling)
    options = decide_options(services.settings)
    session: Bmc | None = None
    no_session: BmcError | None = None
    try:
        configuration = machine.bmc_configuration
        if procedure.reads_power and configuration and decide(machine, options).gate is None:
            try:
                session = services.bmcs.open(machine_id, configuration)
                machine = _read_power(services, machine, session)
            except BmcError as error:
                no_session = error
                if isinstance(error, BmcAuthenticationFailed):
                    session = None  # the door has ended it: a BMC that is asked again with a wrong login locks out
                machine = _power_not_read(services, procedure, machine, error)
        decision = decide(machine, options)
        operation = verbs.due(machine, decision, procedure.name)
        if operation is None:
            raise NotDue(f"not due: {verbs.why_not_due(machine, decision, procedure.name)}")
        _wait_for_the_next_try(services, machine, operation)
        if procedure.waits_for_wipe:
            _wait_for_wipe(services, machine_id)
        guard.check()
        yield Turn(services, machine, decision, operation, guard, session, no_session, began_s)
    finally:
        _close(session)


def confirm(services: Services, machine_id: str, kinds: tuple[Kind, ...]) -> None:
    """Read these resources from Omni itself into the mirror."""
    before = services.mirror.resources(kinds, machine_id)  # read first: what comes in meanwhile must stay
    found = [services.omni.get(kind, machine_id) for kind in kinds]
    services.mirror.put_all(resource for resource in found if resource is not None)
    for kind, resource in zip(kinds, found, strict=True):
        if resource is None and kind in before:
            services.mirror.remove(before[kind])


def _read_power(services: Services, machine: Machine, session: Bmc) -> Machine:
    """The machine with its power as the BMC says it now. Raises BmcError."""
    state = session.power_state()
    services.power_notes.observed({machine.id: state})
    powered_on = {PowerState.ON: True, PowerState.OFF: False, PowerState.UNKNOWN: None}[state]
    if powered_on is not machine.facts.powered_on:
        machine = services.mirror.load(machine.id)  # what is known of the agent follows from the power
    return replace(machine, facts=replace(machine.facts, powered_on=powered_on))


def _power_not_read(services: Services, procedure: Procedure, machine: Machine, error: BmcError) -> Machine:
    """The machine with its power not known. Raises NotDue or PowerUnreadable where nothing is done without it."""
    if procedure.reads_power == "must":
        due = decide(machine, decide_options(services.settings)).find(procedure.name)
        if due is None:
            raise NotDue(f"the power state cannot be read: {error}")
        _wait_for_the_next_try(services, machine, due)
        raise PowerUnreadable(due, error)
    log.info("power_not_read", error=str(error))
    return replace(machine, facts=replace(machine.facts, powered_on=None))


def _wait_for_the_next_try(services: Services, machine: Machine, operation: Operation) -> None:
    """Raises NotDue where the operation has failed lately: a task may come late, and several at once."""
    attempt = services.attempts.of(machine.id).get(operation.name.value)
    if attempt is None or attempt.operation_id != operation_id(machine.id, operation):
        return
    again_ms = attempt.again_ms(int(machine.now.timestamp() * 1000))
    if again_ms != 0:
        when = "when a person says so" if again_ms is None else f"in {again_ms / 1000:.0f} s"
        raise NotDue(f"it has failed, and is tried again {when}")


def _close(session: Bmc | None) -> None:
    if session is not None:
        session.close()


def _wait_for_wipe(services: Services, machine_id: str) -> None:
    try:
        running = services.gateway.wipe_running(machine_id)
    except GatewayUnreachable as error:
        raise NotDue(f"the gateway that holds the machine does not say whether it is being wiped ({error})") from None
    if running:
        raise NotDue("its disks are being wiped")
