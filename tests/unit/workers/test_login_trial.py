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
from app.omni.errors import OmniUnavailable
from app.omni.kinds import Kind
from app.omni.resource import Draft
from app.state.attempts import Attempt
from app.state.bmc_lease import BmcLeases
from app.state.bmc_notes import TROUBLE
from app.state.deciding import decide_options
from app.state.mirror_keys import machine_key
from app.watcher.choose import choose
from tests.unit.workers.conftest import MACHINE, Bottle
from workers import enqueue
from workers import services as worker_services
from workers.bmc.door import BmcDoor
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcLoginUnusable, BmcUnreachable
from workers.bmc_reading import bmc_test
from workers.bmc_setup import configure_bmc_task
from workers.keeper import Guard, LeaseLost
from workers.poll import sweep
from workers.wipe import wipe


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

    def passes(self, seconds: float) -> None:
        """Time passes: what is noted moves into the past."""
        client, ms = self.bottle.services.redis, int(seconds * 1000)
        for key in ("om:login-refusals:192.0.2.7:623", f"om:login-renewed:{MACHINE}"):
            client.pexpire(key, max(0, client.pttl(key) - ms))
        for attempt in self.bottle.attempts().values():
            earlier_attempt = replace(attempt, next_ms=attempt.next_ms and attempt.next_ms - ms)
            self.bottle.services.attempts.store(MACHINE, earlier_attempt)

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


@dataclass
class Lockout:
    """A BMC whose password `right` gives; after three failures within 60 s it refuses everybody for `locked_s`."""

    site: Site
    locked_s: float
    right: Any = None
    worked: bool = False
    elapsed_s: float = 0.0
    failed_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    open_s: float = 0.0

    def takes(self, login: Ipmi) -> BmcAuthenticationFailed | None:
        """A session: a login that has worked is believed to be refused after three in a row."""
        for times in range(1, 4 if self.worked else 2):
            now_s = self.elapsed_s + sum(self.site.pauses) + (times - 1)
            if login.password == self.right() and now_s >= self.open_s:
                return None
            self.refused_s.append(now_s)
            if now_s >= self.open_s:
                self.failed_s = [*(s for s in self.failed_s if now_s - s < 60), now_s]
                if len(self.failed_s) >= 3:
                    self.open_s = now_s + self.locked_s
        error = refused(login)
        error.refusals = times
        return error

    def passes(self, seconds: float) -> None:
        self.elapsed_s += seconds
        self.site.passes(seconds)

    def most_in_a_minute(self) -> int:
        return max(sum(0 <= later - first < 60 for later in self.refused_s) for first in self.refused_s)


def set_by_agent(site: Site) -> str:
    """The password that its agent has set last."""
    return site.bottle.gateway.logins[-1][1]


def stops_working(site: Site, locked_s: float) -> Lockout:
    """A login that was set automatically, which somebody changes on the BMC, and a sweep that sees it."""
    bmc = Lockout(site, locked_s, right=lambda: set_by_agent(site))
    site.takes = bmc.takes
    assert site.next_task() == "set up the BMC login through the agent"
    bmc.worked, bmc.right = True, lambda: "changed by somebody"
    site.sweep()
    assert len(bmc.refused_s) == 3
    bmc.worked, bmc.right = False, lambda: set_by_agent(site)
    return bmc


def test_bmc_that_locks_out_gets_another_login_only_after_a_minute(site: Site) -> None:
    bmc = stops_working(site, 60)
    waits = site.next_task()
    assert waits is not None and waits.startswith("skipped: its BMC has just refused a login, and may lock out")
    assert len(site.bottle.gateway.logins) == 1 and site.bottle.attempts() == {}
    bmc.passes(66)
    assert site.next_task() == "set up the BMC login through the agent"
    assert len(bmc.refused_s) == 3 and not site.bottle.facts().login_refused


def test_bmc_that_locks_out_for_ten_minutes_gets_the_same_login_a_second_time(site: Site) -> None:
    bmc = stops_working(site, 600)
    site.next_task()
    bmc.passes(66)
    words = site.next_task()
    assert words is not None and "3 times" in words and "tried once more after 11 minutes" in words
    (attempt,) = site.bottle.attempts().values()
    assert not attempt.parked and site.next_task() is None
    bmc.passes(661)
    assert site.next_task() == "tried the BMC login that its agent has set once more"
    assert len(site.bottle.gateway.logins) == 2 and site.bottle.attempts() == {}
    assert bmc.most_in_a_minute() == 3


def test_second_trial_at_a_machine_whose_agent_is_gone_is_had_by_a_person_and_they_are_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = stops_working(site, 600)
    bmc.passes(66)
    words = site.next_task()
    assert words is not None and "`omni-metal retry` where its agent is not accessible then" in words
    site.bottle.wiped()
    site.bottle.no_agent()
    bmc.passes(661)
    assert site.next_task() is None
    services = site.bottle.services
    reasons = " ".join(decide(services.mirror.load(MACHINE), decide_options(services.settings)).reasons)
    assert "it is not accessible; `omni-metal retry` has the refused one tried once more." in reasons
    monkeypatch.setattr(enqueue, "use_queue", lambda _: None)
    enqueue.order(services.settings, services.redis, MACHINE, Verb.RETRY, "test")
    site.sweep()
    facts = site.bottle.facts()
    assert not facts.login_refused and facts.powered_on is not None
    assert len(site.bottle.gateway.logins) == 2 and bmc.most_in_a_minute() == 3


def test_new_login_that_is_refused_at_its_second_trial_is_parked(site: Site) -> None:
    bmc = stops_working(site, 0)
    bmc.right = lambda: "never the one that is set"
    for pause_s in (66, 661):
        bmc.passes(pause_s)
        site.next_task()
    assert "that its agent has just set, 3 times" in parked(site).words
    bmc.passes(7200)
    assert site.next_task() is None
    assert len(site.bottle.gateway.logins) == 2 and len(bmc.refused_s) == 9 and bmc.most_in_a_minute() == 3


def test_login_of_a_user_is_not_tried_where_three_were_refused_within_a_minute(site: Site) -> None:
    bmc = stops_working(site, 60)
    bmc.right = lambda: "the users own"
    site.user_gives("the users own")
    waits = site.next_task()
    assert waits is not None and "another one is tried in 1 min" in waits
    bmc.passes(66)
    assert site.next_task() == "took over the BMC login that was given in Omni"


def test_login_of_a_user_that_is_corrected_twice_in_a_minute_counts_at_once(site: Site) -> None:
    bmc = Lockout(site, 60, right=lambda: "three")
    site.takes = bmc.takes
    for password in ("one", "two", "three"):
        site.user_gives(password)
        said = site.next_task()
    assert said == "took over the BMC login that was given in Omni" and len(bmc.refused_s) == 2


def test_person_who_asks_again_and_again_locks_nobody_out(site: Site) -> None:
    bmc = stops_working(site, 60)
    said = str(bmc_test.apply(kwargs={"machine_id": MACHINE}).result)
    assert said.startswith("skipped: its BMC has just refused 3 logins, and may lock out: ask again in 1 min")
    assert len(bmc.refused_s) == 3
    bmc.passes(66)
    bmc.right = lambda: "changed by somebody"
    for _ in range(5):
        bmc_test.apply(kwargs={"machine_id": MACHINE})
    assert len(bmc.refused_s) == 6 and bmc.most_in_a_minute() == 3


def test_login_that_is_not_sent_since_it_was_refused_counts_as_no_refusal(site: Site) -> None:
    bmc = stops_working(site, 60)
    services = site.bottle.services
    services.redis.hdel(machine_key(MACHINE), TROUBLE)  # so that the door tells of the refusal anew
    site.sweep()
    assert len(bmc.refused_s) == 3 and services.logins.refusals("192.0.2.7:623")[0] == 3


def test_retry_that_would_have_the_sweep_ask_is_told_to_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bmc = stops_working(site, 60)
    bmc.right = lambda: "changed by somebody"
    site.bottle.wiped()
    site.bottle.no_agent()  # so that nothing is due but to ask again
    services = site.bottle.services
    monkeypatch.setattr(enqueue, "use_queue", lambda _: None)
    for said in ("may lock out: ask again in 1 min", "its BMC is asked again"):
        result = enqueue.order(services.settings, services.redis, MACHINE, Verb.RETRY, "test")
        assert not result.started and said in result.skipped
        site.sweep()
        bmc.passes(66)
    assert len(bmc.refused_s) == 4


def test_person_who_asks_for_what_needs_no_login_is_not_held_up_by_a_refused_one(site: Site) -> None:
    stops_working(site, 60)
    assert not str(wipe.apply(kwargs={"machine_id": MACHINE}).result).startswith("skipped: its BMC")


def test_omni_that_breaks_off_once_does_not_lose_the_password_that_was_set(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = stops_working(site, 60)
    bmc.passes(66)
    monkeypatch.setattr("workers.power.RECORD_PAUSE_S", 0.0)
    update, broken = site.bottle.omni.update, []

    def breaks_once(kind: Kind, *arguments: Any, **options: Any) -> Any:
        if kind is Kind.BMC_CONFIGURATION and not broken:
            broken.append(kind)
            raise OmniUnavailable("Update", "BMCConfiguration", "connection lost")
        return update(kind, *arguments, **options)

    monkeypatch.setattr(site.bottle.omni, "update", breaks_once)
    assert site.next_task() == "set up the BMC login through the agent"
    assert broken and len(site.bottle.gateway.logins) == 2 and site.password() == set_by_agent(site)


def test_password_that_omni_did_not_get_is_set_anew_and_counts_as_no_renewal(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = stops_working(site, 60)
    bmc.passes(66)

    def broken(*_: Any, **__: Any) -> Any:
        raise OmniUnavailable("Update", "BMCConfiguration", "connection lost")

    with monkeypatch.context() as away:
        away.setattr("workers.power.RECORDED_WITHIN_S", 0.0)
        away.setattr(site.bottle.omni, "update", broken)
        assert str(site.next_task()).startswith("skipped: Omni cannot be reached")
    assert site.next_task() == "set up the BMC login through the agent"
    assert len(site.bottle.gateway.logins) == 3 and site.password() == set_by_agent(site)


def test_set_up_that_dies_before_its_trial_tries_the_login_that_stands_there(site: Site) -> None:
    bmc = stops_working(site, 60)
    bmc.passes(66)
    right, bmc.right = bmc.right, lambda: "not yet"
    site.bottle.services.redis.set(f"om:login-renewed:{MACHINE}", "unproved", ex=3600)  # stored, and no more
    site.sweep()
    bmc.right = right
    assert site.next_task() == "tried the BMC login that its agent has set once more"
    assert len(site.bottle.gateway.logins) == 1


def test_omni_that_is_away_gets_no_password_set(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise OmniUnavailable("Get", "BMCConfiguration", "connection refused")

    monkeypatch.setattr(site.bottle.omni, "get", away)
    assert str(site.next_task()).startswith("skipped: Omni cannot be reached")
    assert site.bottle.gateway.logins == []


def test_lease_that_is_lost_during_the_pause_sends_no_further_login(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: Guard) -> None:
        if site.pauses:
            raise LeaseLost("a later operation has taken the machine")

    monkeypatch.setattr(Guard, "check_still_ours", lost)
    site.takes = refused
    assert site.next_task() == "skipped: a later operation has taken the machine"
    assert len(site.tried) == 1


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
    site.passes(66)
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
    assert "so the agent is to give a new one, but it is not accessible; " in reasons


def test_bmc_that_forgets_each_new_login_gets_no_password_every_half_minute(site: Site) -> None:
    site.next_task()
    for _ in range(3):
        used = site.password()
        site.takes = lambda login, used=used: refused(login) if login.password == used else None
        site.sweep()
        site.passes(66)
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
    site.passes(66)
    assert configure_bmc_task.apply(kwargs=sent[0]).state == "SUCCESS"
    assert len(site.bottle.gateway.logins) == 2 and site.bottle.attempts() == {}


def test_test_by_hand_of_a_login_that_works_again_ends_the_parking(site: Site) -> None:
    site.takes = refused
    site.next_task()
    site.takes = lambda _: None
    site.passes(66)
    assert bmc_test.apply(kwargs={"machine_id": MACHINE}).state == "SUCCESS"
    assert site.next_task() is None and site.bottle.attempts() == {}


def test_login_of_a_user_takes_the_place_of_a_refused_one_and_forgets_what_failed_with_it(site: Site) -> None:
    site.takes = lambda login: None if login.password == "s3cret" else refused(login)
    site.next_task()
    parked(site)
    failed = Attempt("power_on", "x", 1, 0, True, "BmcAuthenticationFailed", "401", 1)
    site.bottle.services.attempts.store(MACHINE, failed)
    site.user_gives("s3cret")
    site.passes(66)
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


def test_right_login_of_a_user_that_came_during_a_lock_out_works_after_a_retry(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = stops_working(site, 600)
    bmc.right = lambda: "right"
    bmc.passes(66)
    site.user_gives("right")
    words = site.next_task()
    assert words is not None and "the BMC refuses the login that a user gave" in words
    bmc.passes(661)
    site.bottle.wiped()
    site.sweep()
    assert site.next_task() is None and site.bottle.facts().login_refused
    services = site.bottle.services
    monkeypatch.setattr(enqueue, "use_queue", lambda _: None)
    enqueue.order(services.settings, services.redis, MACHINE, Verb.RETRY, "test")
    site.sweep()
    assert not site.bottle.facts().login_refused and site.bottle.facts().powered_on is not None


def test_login_of_a_user_that_is_refused_is_said_tried_once_and_never_replaced(site: Site) -> None:
    site.takes = refused
    site.user_gives("s3cret")
    words = site.next_task()
    assert words is not None and "the BMC refuses the login that a user gave" in words and "s3cret" not in words
    assert "Correct it in Omni (BMCConfig), or on the BMC and then `omni-metal retry`" in words
    assert "it may have locked us out: `omni-metal retry` after 11 minutes" in words
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
