"""Refused logins: exactly the login that was refused, told in the picture, and a reason to look at the machine."""

from __future__ import annotations

import fakeredis
import pytest

from app.machine.model import BmcConfiguration, Ipmi
from app.omni.kinds import Kind
from app.state.logins import RefusedLogins
from app.state.mirror import Mirror
from app.state.mirror_keys import machine_key
from app.state.secrets import Sealer
from app.state.wake import Alarms
from tests.unit.omni_in_memory import InMemoryOmni

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
    logins.note_refused(MACHINE, login)
    assert mirror.load(MACHINE).facts.login_refused
    stored(client, omni, "two")
    assert not mirror.load(MACHINE).facts.login_refused
    stored(client, omni, "one")
    logins.forget_refused(MACHINE)
    assert not mirror.load(MACHINE).facts.login_refused


def test_refused_login_wakes_the_watcher(client: fakeredis.FakeRedis) -> None:
    RefusedLogins(client, SEALER).note_refused(MACHINE, BmcConfiguration(ipmi=Ipmi("192.0.2.7", 623, "a", "b")))
    assert Alarms(client).take(10) == [MACHINE]


def test_note_of_a_refused_login_that_another_key_sealed_says_nothing(client: fakeredis.FakeRedis) -> None:
    login = stored(client, InMemoryOmni(), "one")
    RefusedLogins(client, Sealer(b"x" * 32)).note_refused(MACHINE, login)
    assert not Mirror(client, SEALER).load(MACHINE).facts.login_refused


def test_note_of_a_refused_login_shows_no_password(client: fakeredis.FakeRedis) -> None:
    RefusedLogins(client, SEALER).note_refused(MACHINE, stored(client, InMemoryOmni(), "s3cret-one"))
    assert b"s3cret" not in b"".join(client.hgetall(machine_key(MACHINE)).values())
