"""Refused logins: exactly the login that was refused, told in the picture, and a reason to look at the machine."""

from __future__ import annotations

import time
from types import SimpleNamespace

import fakeredis
import pytest

from app.machine.model import BmcConfiguration, Ipmi
from app.omni.kinds import Kind
from app.state import logins as logins_module
from app.state.logins import REFUSED, WORKED, RefusedLogins, unbelieved_key
from app.state.mirror import Mirror
from app.state.mirror_keys import machine_key
from app.state.secrets import Sealer
from tests.unit.omni_in_memory import InMemoryOmni
from tests.unit.refusals import note_refused

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"
SEALER = Sealer(b"k" * 32)


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


def stored(client: fakeredis.FakeRedis, omni: InMemoryOmni, password: str) -> BmcConfiguration:
    """A login in the mirror."""

    def edit(draft: object) -> None:
        ipmi = draft.spec.ipmi  # type: ignore[attr-defined]  # a BMCConfiguration draft
        ipmi.address, ipmi.port, ipmi.username, ipmi.password = "192.0.2.7", 623, "admin", password

    mirror = Mirror(client, SEALER)
    mirror.put(omni.update(Kind.BMC_CONFIGURATION, MACHINE, edit, create=True))
    found = mirror.load(MACHINE).bmc_configuration
    assert found is not None
    return found


def test_refused_login_is_a_fact_of_the_machine_until_it_changes(client: fakeredis.FakeRedis) -> None:
    mirror, omni, logins = Mirror(client, SEALER), InMemoryOmni(), RefusedLogins(client, SEALER)
    login = stored(client, omni, "one")
    assert not mirror.load(MACHINE).facts.login_refused
    note_refused(client, SEALER, MACHINE, login)
    assert mirror.load(MACHINE).facts.login_refused
    stored(client, omni, "two")
    assert not mirror.load(MACHINE).facts.login_refused
    stored(client, omni, "one")
    logins.forget_refused(MACHINE)
    assert not mirror.load(MACHINE).facts.login_refused


def test_refusal_that_redis_was_not_told_counts_until_it_is_told_or_forgiven(client: fakeredis.FakeRedis) -> None:
    logins, login = RefusedLogins(client, SEALER), BmcConfiguration(ipmi=Ipmi("192.0.2.7", 623, "a", "b"))
    note = logins.note_of(REFUSED, MACHINE, login)
    logins.refusal_not_told(MACHINE, note, None)
    assert logins.refused(MACHINE, None, login)
    assert not logins.refused(MACHINE, None, BmcConfiguration(ipmi=Ipmi("192.0.2.7", 623, "a", "c")))
    assert logins.refused(MACHINE, note, login)
    assert not logins.refused(MACHINE, None, login)  # Redis had it, and a person has it forgotten since
    logins.refusal_not_told(MACHINE, note, None)
    logins.forget_refused(MACHINE)
    assert not logins.refused(MACHINE, None, login)


def test_refusal_that_redis_was_not_told_ends_after_minutes(
    client: fakeredis.FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins, login = RefusedLogins(client, SEALER), BmcConfiguration(ipmi=Ipmi("192.0.2.7", 623, "a", "b"))
    logins.refusal_not_told(MACHINE, logins.note_of(REFUSED, MACHINE, login), None)
    later_s = time.monotonic() + logins_module.UNTOLD_FOR_S
    for now_s, refused in ((later_s - 5, True), (later_s + 5, False), (later_s - 5, False)):
        monkeypatch.setattr(logins_module, "time", SimpleNamespace(monotonic=lambda now_s=now_s: now_s))
        assert logins.refused(MACHINE, None, login) is refused


def test_refusal_that_redis_was_not_told_ends_when_the_very_login_has_worked_since(client: fakeredis.FakeRedis) -> None:
    logins, login = RefusedLogins(client, SEALER), BmcConfiguration(ipmi=Ipmi("192.0.2.7", 623, "a", "b"))
    other = BmcConfiguration(ipmi=Ipmi("192.0.2.7", 623, "a", "c"))
    before = logins.note_of(WORKED, MACHINE, login)
    logins.refusal_not_told(MACHINE, logins.note_of(REFUSED, MACHINE, login), before)
    assert logins.refused(MACHINE, None, login, before)  # that it worked before says nothing
    assert logins.refused(MACHINE, None, login, logins.note_of(WORKED, MACHINE, other))
    client.hset(machine_key(MACHINE), WORKED, logins.note_of(WORKED, MACHINE, login))
    assert not logins.login_refused(MACHINE, login)
    assert not logins.refused(MACHINE, None, login, before)


def test_refusals_count_for_a_minute_although_the_clock_was_put_back(client: fakeredis.FakeRedis) -> None:
    logins, place = RefusedLogins(client, SEALER), "192.0.2.7:623"
    logins.refusals_unbelieved(place, 2)
    for key in client.keys("om:login-*"):
        client.pexpire(key, 3_600_000)
    count, left_s = logins.refusals(place)
    assert count == 2 and 60 < left_s <= logins_module.REST_S
    assert client.pttl(unbelieved_key(place)) <= logins_module.REST_S * 1000


def test_refused_login_that_was_not_sent_again_does_not_renew_the_rest(client: fakeredis.FakeRedis) -> None:
    logins = RefusedLogins(client, SEALER)
    logins.refusal_told(MACHINE, "192.0.2.7:623", 1)
    for key in client.keys("om:login-refusals:*"):
        client.pexpire(key, 5_000)
    logins.refusal_told(MACHINE, "192.0.2.7:623", 0)
    count, left_s = logins.refusals("192.0.2.7:623")
    assert count == 1 and left_s <= 5


def test_note_of_a_refused_login_that_another_key_sealed_says_nothing(client: fakeredis.FakeRedis) -> None:
    login = stored(client, InMemoryOmni(), "one")
    note_refused(client, Sealer(b"x" * 32), MACHINE, login)
    assert not Mirror(client, SEALER).load(MACHINE).facts.login_refused


def test_note_of_a_refused_login_shows_no_password(client: fakeredis.FakeRedis) -> None:
    note_refused(client, SEALER, MACHINE, stored(client, InMemoryOmni(), "s3cret-one"))
    assert b"s3cret" not in b"".join(client.hgetall(machine_key(MACHINE)).values())
