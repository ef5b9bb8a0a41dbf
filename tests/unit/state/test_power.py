"""Which of two readings of a BMC stands, and which logins are not tried again."""

from dataclasses import replace

import fakeredis
import pytest

from app.machine.model import BmcConfiguration, Ipmi, PowerState
from app.state.connection import as_bytes, now_ms
from app.state.logins import RefusedLogins
from app.state.mirror_keys import machine_key
from app.state.power import PowerNotes
from app.state.secrets import Sealer
from app.state.wake import Alarms
from tests.unit.refusals import note_refused

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"
LOGIN = BmcConfiguration(ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "correct horse"))
SEALER = Sealer(bytes(32))


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def notes(client: fakeredis.FakeRedis) -> PowerNotes:
    return PowerNotes(client)


@pytest.fixture
def logins(client: fakeredis.FakeRedis) -> RefusedLogins:
    return RefusedLogins(client, SEALER)


def standing(client: fakeredis.FakeRedis) -> tuple[str, int]:
    state, _, at_ms = as_bytes(client.hget(machine_key(MACHINE), "f:power")).decode().partition("@")
    return state, int(at_ms)


def test_reading_that_is_older_than_the_one_that_stands_is_dropped(
    client: fakeredis.FakeRedis, notes: PowerNotes
) -> None:
    read_ms = now_ms(client) - 2000
    notes.observed({MACHINE: PowerState.ON})
    before = standing(client)
    notes.observed_at(MACHINE, PowerState.OFF, read_ms)
    assert standing(client) == before
    assert Alarms(client).take(10) == []


def test_reading_that_is_newer_stands_with_the_time_at_which_it_was_made(
    client: fakeredis.FakeRedis, notes: PowerNotes
) -> None:
    read_ms = now_ms(client) - 2000
    notes.observed_at(MACHINE, PowerState.ON, read_ms - 1000)
    notes.observed_at(MACHINE, PowerState.OFF, read_ms)
    assert standing(client) == ("OFF", read_ms)


def test_reading_from_before_our_last_act_is_dropped(client: fakeredis.FakeRedis, notes: PowerNotes) -> None:
    read_ms = now_ms(client) - 1
    notes.acted(MACHINE)
    notes.observed_at(MACHINE, PowerState.OFF, read_ms)
    assert client.hget(machine_key(MACHINE), "f:power") is None


def test_reading_made_just_now_stands_over_every_other(client: fakeredis.FakeRedis, notes: PowerNotes) -> None:
    notes.acted(MACHINE)
    notes.observed_at(MACHINE, PowerState.OFF, now_ms(client))
    notes.observed({MACHINE: PowerState.ON, "other": PowerState.UNKNOWN})
    assert standing(client)[0] == "ON"
    assert as_bytes(client.hget(machine_key("other"), "f:power")).startswith(b"UNKNOWN@")


def test_clock_of_redis_that_was_put_back_does_not_stop_the_notes(
    client: fakeredis.FakeRedis, notes: PowerNotes
) -> None:
    ahead_ms = now_ms(client) + 3_600_000
    client.hset(machine_key(MACHINE), mapping={"f:power": f"ON@{ahead_ms}", "f:acted": ahead_ms})
    read_ms = now_ms(client)
    notes.observed_at(MACHINE, PowerState.OFF, read_ms)
    assert standing(client) == ("OFF", read_ms)


def test_reading_from_the_future_is_noted_as_made_now(client: fakeredis.FakeRedis, notes: PowerNotes) -> None:
    notes.observed_at(MACHINE, PowerState.ON, now_ms(client) + 60_000)
    assert standing(client)[1] <= now_ms(client)


def test_login_that_nobody_refused_may_be_used(logins: RefusedLogins) -> None:
    assert not logins.login_refused(MACHINE, LOGIN)


def test_refused_login_stays_refused_until_it_is_forgotten(
    client: fakeredis.FakeRedis, logins: RefusedLogins
) -> None:
    note_refused(client, SEALER, MACHINE, LOGIN)
    assert logins.login_refused(MACHINE, LOGIN)
    assert logins.login_refused(MACHINE, replace(LOGIN, manually_configured=True))
    assert not logins.login_refused("other", LOGIN)
    logins.forget_refused(MACHINE)
    assert not logins.login_refused(MACHINE, LOGIN)


@pytest.mark.parametrize(
    "changed",
    [
        BmcConfiguration(ipmi=Ipmi("192.0.2.2", 623, "talos-agent", "correct horse")),
        BmcConfiguration(ipmi=Ipmi("192.0.2.1", 623, "root", "correct horse")),
        BmcConfiguration(ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "another")),
        BmcConfiguration(ipmi=Ipmi("192.0.2.1", 623, "talos-agentcorrect", " horse")),
        BmcConfiguration(ipmi=LOGIN.ipmi, api_address="192.0.2.1:80"),
        BmcConfiguration(api_address="192.0.2.1:80"),
    ],
)
def test_other_login_than_the_refused_one_may_be_used(
    client: fakeredis.FakeRedis, logins: RefusedLogins, changed: BmcConfiguration
) -> None:
    note_refused(client, SEALER, MACHINE, LOGIN)
    assert not logins.login_refused(MACHINE, changed)


def test_refused_login_cannot_be_guessed_from_what_redis_holds(
    client: fakeredis.FakeRedis, logins: RefusedLogins
) -> None:
    note_refused(client, SEALER, MACHINE, LOGIN)
    first = client.hget(machine_key(MACHINE), "f:login-refused")
    note_refused(client, SEALER, MACHINE, LOGIN)
    assert client.hget(machine_key(MACHINE), "f:login-refused") != first
    assert not RefusedLogins(client, Sealer(b"x" * 32)).login_refused(MACHINE, LOGIN)
