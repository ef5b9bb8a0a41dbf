"""Which attempts at a BMC set-up stay, so that neither a refused login nor a new one makes a loop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.machine.decide import operation_id
from app.machine.model import Ipmi, Machine, OperationName
from app.state.attempts import Attempt
from app.watcher.choose import choose
from tests.unit.machine.pictures import ID, at_rest, decided, operation, seen, user_login

NOW_MS = 1_800_000_000_000
BMC = OperationName.CONFIGURE_BMC


def refused(agent: bool | None) -> Machine:
    """A machine whose BMC refuses the login that its agent has set."""
    machine = seen(at_rest(), None, agent)
    return replace(machine, facts=replace(machine.facts, login_refused=True))


def parked(machine: Machine) -> dict[str, Attempt]:
    """Its set-up was tried, and the new login was refused as well."""
    cause = operation_id(ID, operation(machine, BMC))
    return {BMC.value: Attempt(BMC.value, cause, 1, 0, True, "BmcLoginRefused", "refused", NOW_MS)}


@pytest.mark.parametrize("agent", [True, False, None])
def test_new_login_is_refused_as_well_it_stays_parked_whether_the_agent_goes_or_comes(agent: bool | None) -> None:
    attempts, machine = parked(refused(agent=True)), refused(agent=agent)
    choice = choose(machine, decided(machine), attempts, NOW_MS)
    assert (choice.operation, choice.forget) == (None, ())


def test_login_of_a_user_goes_ahead_of_a_parked_one_of_the_agent() -> None:
    machine = replace(refused(agent=True), bmc_config=user_login(ipmi=Ipmi("10.0.0.7", 0, "admin", "secret")))
    choice = choose(machine, decided(machine), parked(refused(agent=True)), NOW_MS)
    assert choice.operation is not None and choice.operation.source == "user"


def test_bmc_that_has_spoken_ends_the_failed_set_up() -> None:
    attempts, machine = parked(refused(agent=True)), seen(at_rest(), True, None)
    assert choose(machine, decided(machine), attempts, NOW_MS).forget == (BMC.value,)


def test_bmc_that_has_not_spoken_with_its_login_yet_leaves_the_failed_set_up_to_be_seen() -> None:
    attempts, machine = parked(refused(agent=True)), seen(at_rest(), None, None)
    assert choose(machine, decided(machine), attempts, NOW_MS).forget == ()
