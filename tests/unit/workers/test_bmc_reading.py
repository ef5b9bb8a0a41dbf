"""`bmc test` and `bmc probe`: they say what the BMC is, change nothing, and work whatever gate holds."""

from __future__ import annotations

from typing import Any

import pytest

from app.omni.kinds import Kind
from app.omni.resource import Draft
from app.state.attempts import Attempt
from tests.unit.workers.conftest import MACHINE, Bottle
from workers.bmc.errors import BmcAuthenticationFailed, BmcUnreachable
from workers.bmc.known import BmcKind, Known
from workers.bmc_reading import bmc_probe, bmc_test

DELL = Known(BmcKind.REDFISH, "/redfish/v1/Systems/1", "Dell Inc.", "PowerEdge R650", "6.10.30")


def run(task: Any) -> tuple[str, str]:
    result = task.apply(kwargs={"machine_id": MACHINE})
    return result.state, str(result.result)


def with_ipmi(bottle: Bottle, **fields: Any) -> None:
    """A machine whose BMC has a login."""
    bottle.give(Kind.INFRA_MACHINE, **({"acceptance_status": 1} | fields))

    def login(draft: Draft) -> None:
        ipmi = draft.spec.ipmi
        ipmi.address, ipmi.port, ipmi.username, ipmi.password = "192.0.2.7", 623, "admin", "s3cret"

    bottle.services.mirror.put(bottle.omni.update(Kind.BMC_CONFIGURATION, MACHINE, login, create=True))


def test_test_says_power_kind_and_model_and_commands_nothing(bottle: Bottle) -> None:
    with_ipmi(bottle)
    bottle.bmc.known = DELL
    state, words = run(bmc_test)
    assert state == "SUCCESS" and words.startswith('the BMC at 192.0.2.7:443 takes the login of "admin": power ON, ')
    assert "redfish, Dell Inc. PowerEdge R650, firmware 6.10.30, System /redfish/v1/Systems/1; it took" in words
    assert "s3cret" not in words
    assert bottle.bmc.commands == [] and bottle.bmc.log[-1] == "close"
    assert bottle.facts().powered_on is True


def test_probe_asks_anew_and_names_the_quirks_of_its_like(bottle: Bottle) -> None:
    with_ipmi(bottle)
    run(bmc_test)
    assert bottle.services.redis.hget(f"om:m:{MACHINE}", "f:bmc-found")
    bottle.bmc.known = DELL
    state, words = run(bmc_probe)
    assert state == "SUCCESS" and "spoken to by redfish" in words and "dell-sessions-full: iDRAC serves eight" in words
    assert bottle.bmc.commands == []
    assert b"PowerEdge" in bottle.services.redis.hget(f"om:m:{MACHINE}", "f:bmc-found")


def test_probe_of_a_bmc_that_says_nothing_of_itself_says_that(bottle: Bottle) -> None:
    bottle.accepted()
    words = run(bmc_probe)[1]
    assert "the BMC at 192.0.2.1:80: spoken to by api, of a vendor and model that it does not tell" in words
    assert "No quirks of its like are known" in words


@pytest.mark.parametrize("task", [bmc_test, bmc_probe])
@pytest.mark.parametrize("fields", [{"cordoned": True}, {"acceptance_status": 0}, {"acceptance_status": 2}])
def test_bmc_of_a_machine_that_a_gate_holds_is_read_and_nothing_else_done(
    bottle: Bottle, task: Any, fields: dict[str, Any]
) -> None:
    with_ipmi(bottle, **fields)
    assert run(task)[0] == "SUCCESS"
    assert bottle.bmc.commands == []


@pytest.mark.parametrize("task", [bmc_test, bmc_probe])
def test_refused_login_is_tried_once_more_and_then_not_again(bottle: Bottle, task: Any) -> None:
    with_ipmi(bottle)
    bottle.bmc.fails["status"] = bottle.bmc.fails["describe"] = BmcAuthenticationFailed("401", executed=False)
    state, words = run(task)
    assert state == "FAILURE" and "401. Its agent sets another one" in words
    assert bottle.facts().login_refused
    del bottle.bmc.fails["status"], bottle.bmc.fails["describe"]
    assert run(task)[0] == "SUCCESS"
    assert not bottle.facts().login_refused


def test_bmc_that_does_not_answer_is_said_and_is_no_attempt(bottle: Bottle) -> None:
    with_ipmi(bottle)
    bottle.bmc.fails["status"] = BmcUnreachable("nobody answers at 192.0.2.7", executed=False)
    state, words = run(bmc_test)
    assert state == "FAILURE" and "nobody answers at 192.0.2.7. Check that the BMC has power" in words
    assert bottle.attempts() == {}
    (entry,) = bottle.services.history.read(MACHINE)
    assert (entry.operation, entry.outcome) == ("bmc_test", "failed")


@pytest.mark.parametrize("task", [bmc_test, bmc_probe])
def test_machine_without_a_bmc_login_is_told_so(bottle: Bottle, task: Any) -> None:
    bottle.give(Kind.INFRA_MACHINE, acceptance_status=1)
    assert "skipped: not due: Its BMC is not configured" in run(task)[1]
    assert bottle.bmc.log == []


def test_words_of_a_bmc_are_cut_and_cleaned(bottle: Bottle) -> None:
    with_ipmi(bottle)
    bottle.bmc.known = Known(BmcKind.REDFISH, vendor="Evil\x1b[31m\n", model="x" * 5000)
    words = run(bmc_test)[1]
    assert words.isprintable() and len(words) < 800


def test_reading_by_hand_leaves_other_failures_alone(bottle: Bottle) -> None:
    with_ipmi(bottle)
    failed = Attempt("wipe", "x", 5, 0, True, "E", "why", 1)
    bottle.services.attempts.store(MACHINE, failed)
    run(bmc_test)
    assert bottle.attempts() == {"wipe": failed}
