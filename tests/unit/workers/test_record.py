"""Writing a lost wipe record anew: what is written, what follows from it, and every case in which nothing is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.agents.errors import GatewayUnreachable
from app.machine.decide import decide
from app.machine.model import Decision, Phase
from app.omni.errors import OmniUnavailable
from app.omni.kinds import Kind
from app.state.deciding import decide_options
from app.state.lease import lease_key
from app.state.orders import note_record_order, record_order_key
from tests.unit.workers.conftest import MACHINE, Bottle
from workers.record import adopt_record, wipe_record

TASKS = {"adopt": adopt_record, "wipe": wipe_record}
both = pytest.mark.parametrize("word", TASKS)


def run(word: str, machine_id: str = MACHINE) -> tuple[str, str]:
    """State and words of the task, run eagerly as a person would start it."""
    result = TASKS[word].apply(kwargs={"machine_id": machine_id})
    return result.state, str(result.result)


def lost(bottle: Bottle, *, installed: bool = True, **fields: Any) -> None:
    """A machine in a cluster, wiped for w1, whose record is gone from Omni and the mirror."""
    allocated = {"cluster_talos_version": "1.13.7", "wipe_id": "w1", "install_event_id": 3}
    bottle.accepted(**{**allocated, **fields})
    bottle.give(Kind.INFRA_MACHINE_STATUS, ready_to_use=True, wiped_node_unique_token="old", installed=installed)


def decided(bottle: Bottle) -> Decision:
    return decide(bottle.services.mirror.load(MACHINE), decide_options(bottle.services.settings))


def untouched(bottle: Bottle) -> bool:
    """Whether there is still no record, here and there, and the BMC was asked for nothing."""
    in_omni, here = (Kind.WIPE_STATUS, MACHINE) in bottle.omni.stored, bottle.services.mirror.load(MACHINE).wipe_status
    return not in_omni and here is None and bottle.bmc.log == []


@pytest.mark.parametrize(("installs", "installed", "recorded"), [(3, True, 2), (3, False, 3), (0, True, 0)])
def test_adopted_machine_gets_the_record_of_what_omni_wants_now(
    bottle: Bottle, installs: int, installed: bool, recorded: int
) -> None:
    lost(bottle, install_event_id=installs, installed=installed)
    state, words = run("adopt")
    assert state == "SUCCESS" and "are kept" in words
    spec = bottle.spec(Kind.WIPE_STATUS)
    assert (spec.initial_wipe_done, spec.last_wipe_id, spec.wiped_node_unique_token) == (True, "w1", "old")
    assert spec.last_wipe_install_event_id == recorded
    assert bottle.services.mirror.load(MACHINE).wipe_status is not None
    assert bottle.bmc.log == []


@pytest.mark.parametrize("agent", [True, False, None])
def test_adopted_machine_that_runs_talos_is_neither_wiped_nor_rebooted_nor_powered(
    bottle: Bottle, agent: bool | None
) -> None:
    lost(bottle)
    run("adopt")
    machine = bottle.services.mirror.load(MACHINE)
    for on in (True, None):
        seen = replace(machine, facts=replace(machine.facts, powered_on=on, agent_accessible=agent))
        decision = decide(seen, decide_options(bottle.services.settings))
        assert decision.operations == ()
        assert decision.installed and not decision.requires_wipe and decision.gate is None
        assert decision.boot_mode == "talos-disk"


def test_adopted_machine_that_leaves_its_cluster_is_wiped(bottle: Bottle) -> None:
    lost(bottle)
    run("adopt")
    bottle.give(Kind.INFRA_MACHINE, cluster_talos_version="", wipe_id="w2")
    assert decided(bottle).requires_wipe


def test_machine_to_be_wiped_gets_a_record_that_says_so(bottle: Bottle) -> None:
    lost(bottle)
    state, words = run("wipe")
    assert state == "SUCCESS" and "are to be wiped" in words
    spec = bottle.spec(Kind.WIPE_STATUS)
    assert (spec.initial_wipe_done, spec.last_wipe_id, spec.last_wipe_install_event_id) == (False, "", 0)
    assert decided(bottle).gate is None and decided(bottle).requires_wipe


def test_machine_to_be_wiped_is_wiped_through_its_agent_where_there_is_one(bottle: Bottle) -> None:
    lost(bottle)
    bottle.agent()
    run("wipe")
    assert [o.name for o in decided(bottle).operations] == ["wipe"]


def test_machine_to_be_wiped_is_rebooted_into_its_agent_where_there_is_none(bottle: Bottle) -> None:
    lost(bottle)
    bottle.no_agent()
    run("wipe")
    (operation,) = decided(bottle).operations
    assert (operation.name, operation.pxe) == ("reboot", True)


@both
def test_record_that_is_there_is_left_as_it_is(bottle: Bottle, word: str) -> None:
    lost(bottle)
    bottle.wiped(last_wipe_id="w0")
    before = bottle.omni.stored[Kind.WIPE_STATUS, MACHINE]
    assert run(word)[1].startswith("skipped: not due")
    assert bottle.omni.stored[Kind.WIPE_STATUS, MACHINE] == before


@both
def test_record_that_only_the_mirror_has_lost_is_found_in_omni_and_left_as_it_is(bottle: Bottle, word: str) -> None:
    lost(bottle)
    before = bottle.omni.give(Kind.WIPE_STATUS, MACHINE, initial_wipe_done=True, last_wipe_id="w0")
    assert run(word)[1].startswith("skipped: not due")
    assert bottle.omni.stored[Kind.WIPE_STATUS, MACHINE] == before
    assert bottle.services.mirror.load(MACHINE).wipe_status is not None


@both
def test_record_that_appears_right_before_the_write_is_not_written_over(
    bottle: Bottle, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost(bottle)
    update = bottle.omni.update

    def late(kind: Kind, machine_id: str, *args: Any, **kwargs: Any) -> Any:
        bottle.omni.give(Kind.WIPE_STATUS, machine_id, last_wipe_id="theirs")
        return update(kind, machine_id, *args, **kwargs)

    monkeypatch.setattr(bottle.omni, "update", late)
    assert run(word) == ("SUCCESS", "skipped: the record has appeared meanwhile")
    assert bottle.spec(Kind.WIPE_STATUS).last_wipe_id == "theirs"


@both
def test_machine_that_was_never_wiped_has_no_record_to_lose(bottle: Bottle, word: str) -> None:
    bottle.accepted(cluster_talos_version="1.13.7")
    assert run(word)[1].startswith("skipped: not due")
    assert untouched(bottle)


def test_machine_outside_a_cluster_is_not_adopted(bottle: Bottle) -> None:
    lost(bottle, cluster_talos_version="")
    assert run("adopt")[1].startswith("skipped: not due")
    assert untouched(bottle)


def test_machine_that_left_its_cluster_unseen_is_not_adopted(bottle: Bottle) -> None:
    lost(bottle)
    bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, cluster_talos_version="", wipe_id="w2")  # the mirror is late
    assert run("adopt")[1].startswith("skipped: not due")
    assert untouched(bottle)


def test_wish_that_changed_unseen_is_the_one_that_is_recorded(bottle: Bottle) -> None:
    lost(bottle)
    bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, wipe_id="w9", install_event_id=9)
    assert run("adopt")[0] == "SUCCESS"
    spec = bottle.spec(Kind.WIPE_STATUS)
    assert (spec.last_wipe_id, spec.last_wipe_install_event_id) == ("w9", 8)


@both
@pytest.mark.parametrize("closed", [{"acceptance_status": 0}, {"acceptance_status": 2}, {"cordoned": True}])
def test_machine_behind_another_gate_is_left_alone(bottle: Bottle, word: str, closed: dict[str, Any]) -> None:
    lost(bottle)
    bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, **closed)
    assert run(word)[1].startswith("skipped: not due")
    assert untouched(bottle)


@both
def test_machine_that_is_being_removed_is_left_alone(bottle: Bottle, word: str) -> None:
    lost(bottle)
    bottle.omni.give(Kind.INFRA_MACHINE, MACHINE, phase=Phase.TEARING_DOWN)
    assert run(word)[1].startswith("skipped: not due")
    assert untouched(bottle)


@both
def test_machine_that_omni_does_not_know_is_left_alone(bottle: Bottle, word: str) -> None:
    assert run(word)[1].startswith("skipped: not due")
    assert untouched(bottle)


@both
def test_omni_that_is_away_has_nothing_written(bottle: Bottle, word: str) -> None:
    lost(bottle)
    bottle.omni.away = True
    assert run(word)[1].startswith("skipped: Omni cannot be reached")
    bottle.omni.away = False
    assert untouched(bottle)


def test_machine_whose_wipe_still_runs_at_a_gateway_is_not_adopted(bottle: Bottle) -> None:
    lost(bottle)
    bottle.gateway.running = True
    assert run("adopt")[1] == "skipped: its disks are being wiped"
    bottle.gateway.running = GatewayUnreachable("refused")
    assert "does not say whether it is being wiped" in run("adopt")[1]
    assert untouched(bottle)


@both
def test_machine_with_a_lease_is_left_alone(bottle: Bottle, word: str) -> None:
    lost(bottle)
    bottle.services.leases.take(MACHINE, "wipe", "other")
    assert run(word)[1].startswith("skipped: wipe has run since")
    assert untouched(bottle)


@both
def test_holder_that_lost_its_lease_writes_nothing(bottle: Bottle, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lost(bottle)
    get = bottle.omni.get

    def slow(kind: Kind, machine_id: str) -> Any:
        bottle.services.redis.delete(lease_key(MACHINE))
        bottle.services.leases.take(MACHINE, "wipe", "t2")
        return get(kind, machine_id)

    monkeypatch.setattr(bottle.omni, "get", slow)
    assert run(word)[1].startswith("skipped: a later operation")
    assert untouched(bottle)


@both
def test_answer_of_omni_that_is_lost_leaves_the_rest_to_the_next_try(
    bottle: Bottle, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost(bottle)

    def away(*_: object, **__: object) -> None:
        raise OmniUnavailable("Create", "wipe_status", "connection reset")

    monkeypatch.setattr(bottle.omni, "update", away)
    assert run(word)[1].startswith("skipped: Omni cannot be reached")
    assert untouched(bottle)


@both
def test_machine_id_in_upper_case_is_the_same_machine(bottle: Bottle, word: str) -> None:
    lost(bottle)
    assert run(word, MACHINE.upper())[1].startswith("wrote the lost record anew")
    assert (Kind.WIPE_STATUS, MACHINE) in bottle.omni.stored


@both
def test_twice_is_once(bottle: Bottle, word: str) -> None:
    lost(bottle)
    assert run(word)[0] == "SUCCESS"
    version = bottle.omni.stored[Kind.WIPE_STATUS, MACHINE].version
    assert run(word)[1].startswith("skipped: not due")
    assert bottle.omni.stored[Kind.WIPE_STATUS, MACHINE].version == version


@pytest.mark.parametrize(("first", "last"), [("adopt", "wipe"), ("wipe", "adopt")])
def test_order_that_waited_is_not_done_where_another_came_after_it(bottle: Bottle, first: str, last: str) -> None:
    lost(bottle)
    for word in (first, last):
        note_record_order(bottle.services.redis, MACHINE, TASKS[word].name)
    state, words = run(first)
    assert state == "SUCCESS" and words == f"skipped: {TASKS[last].name} was ordered after it"
    assert untouched(bottle)
    assert not run(last)[1].startswith("skipped")
    assert bottle.spec(Kind.WIPE_STATUS).initial_wipe_done is (last == "adopt")
    assert bottle.services.redis.get(record_order_key(MACHINE)) is None
