"""A login is tried when it is stored; a refused one is said, set anew through the agent, and never in a loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from app.agents.client import PowerManagement
from app.machine.decide import decide, operation_id
from app.machine.model import BmcConfiguration, Ipmi, OperationName
from app.machine.verbs import Verb
from app.omni.kinds import Kind
from app.omni.resource import Draft
from app.state.attempts import Attempt
from app.state.bmc_lease import BmcLeases
from app.state.deciding import decide_options
from app.watcher.choose import choose
from tests.unit.workers.conftest import MACHINE, Bottle
from workers import enqueue
from workers import services as worker_services
from workers.bmc.door import BmcDoor
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcLoginUnusable, BmcUnreachable
from workers.bmc_reading import bmc_test
from workers.bmc_setup import configure_bmc_task
from workers.poll import sweep


@dataclass
class Site:
    """A machine whose BMC takes what `takes` says; the watcher's part is played by `next_task`."""

    bottle: Bottle
    takes: Any = None
    tried: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def open(self, _: str, configuration: BmcConfiguration, *__: Any, **___: Any) -> Any:
        assert configuration.ipmi is not None
        self.tried.append(configuration.ipmi.password)
        error = self.takes(configuration.ipmi)
        if error is not None:
            raise error
        return self.bottle.bmc

    def next_task(self) -> str | None:
        """What the watcher enqueues, which is run at once; the answer is its outcome."""
        services = self.bottle.services
        machine = services.mirror.load(MACHINE)
        decision = decide(machine, decide_options(services.settings))
        now_ms = int(machine.now.timestamp() * 1000)
        choice = choose(machine, decision, services.attempts.of(MACHINE), now_ms)
        services.attempts.clear(MACHINE, *choice.forget) if choice.forget else None
        if choice.operation is None or choice.operation.name is not OperationName.CONFIGURE_BMC:
            return None
        arguments = {"machine_id": MACHINE, "operation_id": operation_id(MACHINE, choice.operation)}
        return str(configure_bmc_task.apply(kwargs=arguments).result)

    def sweep(self) -> None:
        """The power is read."""
        sweep(self.bottle.services, [MACHINE])

    def user_gives(self, password: str) -> None:
        """A user gives a login in Omni."""

        def login(draft: Draft) -> None:
            ipmi = draft.spec.config.ipmi
            ipmi.address, ipmi.username, ipmi.password = "192.0.2.7", "admin", password

        self.bottle.services.mirror.put(self.bottle.omni.update(Kind.BMC_CONFIG, MACHINE, login, create=True))

    def password(self) -> str:
        """The one that is in use."""
        return str(self.bottle.spec(Kind.BMC_CONFIGURATION).ipmi.password)


@pytest.fixture
def site(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    services = bottle.services
    door = BmcDoor(services.settings, BmcLeases(services.redis, 0), services.logins)  # without the pause of IPMI
    bottle.services = replace(services, bmcs=door)
    worker_services.use(bottle.services)
    site = Site(bottle, lambda _: None)
    monkeypatch.setattr("workers.bmc.door.open_session", site.open)
    monkeypatch.setattr("workers.login_trial.time", SimpleNamespace(sleep=site.pauses.append))
    bottle.give(Kind.INFRA_MACHINE, acceptance_status=1)
    bottle.give(Kind.MACHINE_STATUS)
    bottle.agent()
    bottle.gateway.power = PowerManagement(ipmi_address="192.0.2.7", ipmi_port=623, ipmi=True, api=False)
    return site


def refused(_: Ipmi) -> BmcAuthenticationFailed:
    return BmcAuthenticationFailed("the BMC at 192.0.2.7:623 refuses the password", executed=False)


def parked(site: Site) -> Attempt:
    """The parked set-up."""
    found = site.bottle.attempts()["configure_bmc"]
    assert found.parked and found.next_ms == 0
    return found


def test_new_login_works_it_is_tried_once_and_the_power_is_known(site: Site) -> None:
    assert site.next_task() == "set up the BMC login through the agent"
    assert site.tried == [site.password()] and site.pauses == []
    assert site.bottle.facts().powered_on is True
    assert site.next_task() is None


def test_new_user_that_works_after_some_seconds_is_waited_for(site: Site) -> None:
    site.takes = lambda login: refused(login) if len(site.tried) < 3 else None
    assert site.next_task() == "set up the BMC login through the agent"
    assert len(site.tried) == 3 and len(set(site.tried)) == 1 and site.pauses == [5, 10]
    assert not site.bottle.facts().login_refused and site.bottle.attempts() == {}


def test_new_login_is_refused_it_is_parked_with_the_remedy_and_no_other_password_is_set(site: Site) -> None:
    site.takes = refused
    words = site.next_task()
    assert words is not None and "the BMC refuses the login that its agent has just set, 3 times" in words
    assert "Give its login as a BMCConfig in Omni" in words and site.password() not in words
    assert len(site.tried) == 3 and len(site.bottle.gateway.logins) == 1
    parked(site)
    for agent in (True, False, True):
        site.bottle.agent() if agent else site.bottle.no_agent()
        site.sweep()
        assert site.next_task() is None
    assert len(site.tried) == 3 and len(site.bottle.gateway.logins) == 1


def test_bmc_that_was_patient_itself_is_not_asked_more_often_than_it_takes(site: Site) -> None:
    def thrice(login: Ipmi) -> BmcAuthenticationFailed:
        error = refused(login)
        error.refusals = 3
        return error

    site.takes = thrice
    site.next_task()
    assert len(site.tried) == 1 and site.pauses == []
    parked(site)


@pytest.mark.parametrize("error", [BmcUnreachable("nobody answers", executed=False), BmcBusy("full", executed=False)])
def test_bmc_that_is_away_or_busy_is_no_failure_of_the_set_up(site: Site, error: Exception) -> None:
    site.takes = lambda _: error
    words = site.next_task()
    assert words == f"set up the BMC login through the agent; its BMC could not be asked with it yet: {error}"
    assert site.bottle.attempts() == {} and len(site.tried) == 1


def test_login_that_stops_working_is_set_anew_through_the_agent(site: Site) -> None:
    site.next_task()
    first = site.password()
    site.takes = lambda login: refused(login) if login.password == first else None
    site.sweep()
    assert site.next_task() == "set up the BMC login through the agent"
    assert site.password() != first and site.tried[-1] == site.password()
    assert site.bottle.facts().powered_on is True and not site.bottle.facts().login_refused
    site.sweep()
    assert site.next_task() is None and len(site.bottle.gateway.logins) == 2


def test_login_that_stops_working_waits_for_an_agent_that_is_not_there(site: Site) -> None:
    site.next_task()
    site.takes = refused
    site.sweep()
    site.bottle.no_agent()
    assert site.next_task() is None
    machine = site.bottle.services.mirror.load(MACHINE)
    reasons = " ".join(decide(machine, decide_options(site.bottle.services.settings)).reasons)
    assert "so the agent is to give a new one, but it is not accessible." in reasons


def test_bmc_that_forgets_each_new_login_gets_no_password_every_half_minute(site: Site) -> None:
    site.next_task()
    for _ in range(3):
        used = site.password()
        site.takes = lambda login, used=used: refused(login) if login.password == used else None
        site.sweep()
        site.next_task()
    assert len(site.bottle.gateway.logins) == 2
    assert "refuses once more" in parked(site).words


def test_person_retries_another_login_is_set_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.takes = refused
    site.next_task()
    sent: list[dict[str, str]] = []

    class Task:
        queue = "bmc"

        def apply_async(self, kwargs: dict[str, str], **_: Any) -> Any:
            sent.append(kwargs)
            return type("Sent", (), {"id": "task-1"})

    services = site.bottle.services
    monkeypatch.setattr(enqueue, "use_queue", lambda _: None)
    monkeypatch.setattr(enqueue, "TASKS", {OperationName.CONFIGURE_BMC: Task()})
    result = enqueue.order(services.settings, services.redis, MACHINE, Verb.RETRY, "test")
    assert result.started == ("configure_bmc",) and sent == [{"machine_id": MACHINE}]
    site.takes = lambda _: None
    assert configure_bmc_task.apply(kwargs=sent[0]).state == "SUCCESS"
    assert len(site.bottle.gateway.logins) == 2 and site.bottle.attempts() == {}


def test_test_by_hand_of_a_login_that_works_again_ends_the_parking(site: Site) -> None:
    site.takes = refused
    site.next_task()
    site.takes = lambda _: None
    assert bmc_test.apply(kwargs={"machine_id": MACHINE}).state == "SUCCESS"
    assert site.next_task() is None and site.bottle.attempts() == {}


def test_login_of_a_user_takes_the_place_of_a_refused_one_and_forgets_what_failed_with_it(site: Site) -> None:
    site.takes = lambda login: None if login.password == "s3cret" else refused(login)
    site.next_task()
    parked(site)
    failed = Attempt("power_on", "x", 1, 0, True, "BmcAuthenticationFailed", "401", 1)
    site.bottle.services.attempts.store(MACHINE, failed)
    site.user_gives("s3cret")
    assert site.next_task() == "took over the BMC login that was given in Omni"
    assert site.bottle.attempts() == {} and site.bottle.facts().powered_on is True


def test_login_of_a_user_that_changes_while_an_operation_waits_counts_at_once(site: Site) -> None:
    site.user_gives("one")
    site.next_task()
    waits = Attempt("power_on", "x", 2, 2_000_000_000_000, False, "BmcUnreachable", "away", 1)
    site.bottle.services.attempts.store(MACHINE, waits)
    site.user_gives("two")
    assert site.next_task() == "took over the BMC login that was given in Omni"
    assert site.tried == ["one", "two"] and site.bottle.attempts() == {}


def test_login_of_a_user_that_is_refused_is_said_tried_once_and_never_replaced(site: Site) -> None:
    site.takes = refused
    site.user_gives("s3cret")
    words = site.next_task()
    assert words is not None and "the BMC refuses the login that a user gave" in words and "s3cret" not in words
    assert "Correct it in Omni (BMCConfig), or on the BMC and then `omni-metal retry`" in words
    assert site.tried == ["s3cret"]
    site.sweep()
    assert site.next_task() is None and site.bottle.gateway.logins == []
    parked(site)
    site.takes = lambda login: None if login.password == "right" else refused(login)
    site.user_gives("right")
    assert site.next_task() == "took over the BMC login that was given in Omni"


def test_login_of_a_user_that_ipmi_has_no_room_for_is_said(site: Site) -> None:
    site.takes = lambda _: BmcLoginUnusable("the password for 192.0.2.7:623 has 24 bytes", executed=False)
    site.user_gives("x" * 24)
    words = site.next_task()
    assert words is not None and "24 bytes. IPMI takes users of up to 16 bytes and passwords of up to 20" in words
    assert "x" * 24 not in words
    parked(site)
    site.sweep()
    assert site.next_task() is None
    parked(site)


def test_api_bmc_that_its_agent_announces_needs_no_login_to_be_tried_thrice(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcAuthenticationFailed("401", executed=False)
    sweep(bottle.services, [MACHINE])
    machine = bottle.services.mirror.load(MACHINE)
    assert machine.facts.login_refused
    assert decide(machine, decide_options(bottle.services.settings)).find(OperationName.CONFIGURE_BMC) is None
