"""The mirror: the newer copy wins, secrets are sealed, an emptied Redis is no empty rack."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import ANY

import fakeredis
import pytest

from app.machine.facts import record_lost
from app.machine.model import BmcConfiguration, PowerState
from app.omni.kinds import Kind
from app.state import batches as state_batches
from app.state.boots import Boots
from app.state.connection import now_ms
from app.state.lease import Leases
from app.state.mirror import Mirror
from app.state.mirror_keys import machine_key
from app.state.mirror_reader import MirrorUnreadable
from app.state.power import PowerNotes
from app.state.secrets import SealBroken, Sealer
from app.state.wake import Alarms
from app.tls.authority import Authority
from tests.unit.omni_in_memory import InMemoryOmni

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def mirror(client: fakeredis.FakeRedis) -> Mirror:
    return Mirror(client, Sealer(b"k" * 32))


def test_older_copy_does_not_replace_a_newer_one(mirror: Mirror) -> None:
    omni = InMemoryOmni()
    old = omni.give(Kind.INFRA_MACHINE, MACHINE, wipe_id="w1")
    new = omni.give(Kind.INFRA_MACHINE, MACHINE, wipe_id="w2")
    assert mirror.put(new)
    mirror.put(old)
    infra_machine = mirror.load(MACHINE).infra_machine
    assert infra_machine is not None and infra_machine.wipe_id == "w2"


def test_copy_that_stands_already_is_no_news_but_an_older_one_may_be(mirror: Mirror) -> None:
    omni = InMemoryOmni()
    old = omni.give(Kind.INFRA_MACHINE, MACHINE, wipe_id="w1")
    new = omni.give(Kind.INFRA_MACHINE, MACHINE, wipe_id="w2")
    mirror.put(new)
    assert not mirror.put(new)
    assert mirror.put(old)  # somebody wrote over it before the watcher had seen it


def test_late_news_of_a_destroyed_resource_is_ignored_but_a_new_one_is_taken(mirror: Mirror) -> None:
    omni = InMemoryOmni()
    first = omni.give(Kind.WIPE_STATUS, MACHINE)
    mirror.put(first)
    mirror.remove(first)
    mirror.put(first)
    assert mirror.load(MACHINE).wipe_status is None
    omni.remove(Kind.WIPE_STATUS, MACHINE)
    assert mirror.put(omni.give(Kind.WIPE_STATUS, MACHINE)) and mirror.load(MACHINE).wipe_status is not None


def test_boot_reads_what_the_whole_picture_holds_of_it_and_whether_the_mirror_is_complete(
    mirror: Mirror, client: fakeredis.FakeRedis
) -> None:
    omni = InMemoryOmni()
    for kind in (Kind.INFRA_MACHINE, Kind.INFRA_MACHINE_STATUS, Kind.BMC_CONFIGURATION, Kind.WIPE_STATUS):
        mirror.put(omni.give(kind, MACHINE))
    whole = mirror.load(MACHINE)
    sparse, complete = mirror.load_to_boot(MACHINE)
    beside = {"now": whole.now, "facts": whole.facts, "bmc_configuration": whole.bmc_configuration}
    assert sparse.bmc_configuration == BmcConfiguration()
    assert replace(sparse, **beside) == replace(whole, infra_machine_status=None)
    assert not complete
    mirror.mark_complete(mirror.begin_build(), 0)
    assert mirror.load_to_boot(MACHINE) == (replace(sparse, now=ANY), True)
    client.flushall()
    stranger, complete = mirror.load_to_boot(MACHINE)
    assert (stranger.infra_machine, stranger.bmc_configuration, complete) == (None, None, False)


def test_boot_without_a_wipe_status_reads_whether_it_is_lost(mirror: Mirror) -> None:
    omni = InMemoryOmni()
    mirror.put(omni.give(Kind.INFRA_MACHINE, MACHINE))
    mirror.put(omni.give(Kind.INFRA_MACHINE_STATUS, MACHINE, ready_to_use=True))
    sparse, _ = mirror.load_to_boot(MACHINE)
    assert record_lost(sparse)


def test_boot_opens_no_bmc_login(mirror: Mirror, client: fakeredis.FakeRedis) -> None:
    mirror.put(InMemoryOmni().give(Kind.BMC_CONFIGURATION, MACHINE))
    other = Mirror(client, Sealer(b"o" * 32))
    with pytest.raises(MirrorUnreadable):
        other.load(MACHINE)
    sparse, _ = other.load_to_boot(MACHINE)
    assert sparse.bmc_configuration == BmcConfiguration()


def test_list_of_omni_decides_what_there_is(mirror: Mirror) -> None:
    omni = InMemoryOmni()
    other = MACHINE.replace("4c", "5c")
    mirror.put(omni.give(Kind.INFRA_MACHINE, MACHINE))
    assert mirror.replace(Kind.INFRA_MACHINE, [omni.give(Kind.INFRA_MACHINE, other)]) == {MACHINE, other}
    assert mirror.machine_ids() == [other]


def test_list_that_is_stored_and_read_in_parts_is_whole(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_batches, "BATCH", 2)
    omni = InMemoryOmni()
    ids = [MACHINE.replace("4c4c", f"4c4{number}") for number in range(5)]
    mirror.replace(Kind.INFRA_MACHINE, [omni.give(Kind.INFRA_MACHINE, m) for m in ids])
    assert mirror.holders(Kind.INFRA_MACHINE) == set(ids)
    assert [machine.id for machine in mirror.load_each(ids)] == ids
    mirror.replace(Kind.INFRA_MACHINE, [])
    assert mirror.machine_ids() == []


def test_bmc_login_is_sealed_and_useless_with_another_key(mirror: Mirror, client: fakeredis.FakeRedis) -> None:
    omni = InMemoryOmni()
    mirror.put(
        omni.update(Kind.BMC_CONFIGURATION, MACHINE, lambda d: setattr(d.spec.ipmi, "password", "s3cret"), create=True)
    )
    configuration = mirror.load(MACHINE).bmc_configuration
    assert configuration is not None and configuration.ipmi is not None and configuration.ipmi.password == "s3cret"
    assert b"s3cret" not in b"".join(client.hgetall(machine_key(MACHINE)).values())
    with pytest.raises(MirrorUnreadable, match="another key"):  # never: there is none
        Mirror(client, Sealer(b"x" * 32)).load(MACHINE)


def test_authority_is_sealed_and_missing_with_another_key(mirror: Mirror, client: fakeredis.FakeRedis) -> None:
    assert mirror.authority() is None and mirror.ca() is None
    mirror.put_ca(Authority("the certificate", "the s3cret key"))
    assert mirror.authority() == Authority("the certificate", "the s3cret key")
    assert mirror.ca() == "the certificate"
    assert b"s3cret" not in b"".join(client.get(key) for key in client.scan_iter())
    assert Mirror(client, Sealer(b"x" * 32)).ca() is None


def test_box_of_another_machine_does_not_open() -> None:
    sealer = Sealer(b"k" * 32)
    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(b"x", "a"), "b")


def test_emptied_redis_is_noticed_amid_a_rebuild(mirror: Mirror, client: fakeredis.FakeRedis) -> None:
    build = mirror.begin_build()
    assert mirror.being_built(build) and not mirror.complete()
    client.flushall()
    assert not mirror.being_built(build)


def test_power_that_changes_wakes_the_watcher_and_one_that_stays_does_not(client: fakeredis.FakeRedis) -> None:
    notes, alarms = PowerNotes(client), Alarms(client)
    notes.observed_at(MACHINE, PowerState.ON, now_ms(client))
    assert alarms.take(10) == [MACHINE]
    notes.observed_at(MACHINE, PowerState.ON, now_ms(client))
    assert alarms.take(10) == []
    notes.observed_at(MACHINE, PowerState.OFF, now_ms(client))
    assert alarms.take(10) == [MACHINE]


def test_power_that_an_operation_has_seen_waits_for_its_end(client: fakeredis.FakeRedis, mirror: Mirror) -> None:
    leases, alarms = Leases(client), Alarms(client)
    lease, _ = leases.take(MACHINE, "power_off", "t1")
    PowerNotes(client).observed({MACHINE: PowerState.OFF})
    assert mirror.load(MACHINE).facts.powered_on is False
    assert alarms.take(10) == []
    leases.give_back(lease)
    assert alarms.take(10) == [MACHINE]


def test_news_from_omni_wakes_the_watcher_and_what_stands_already_does_not(
    client: fakeredis.FakeRedis, mirror: Mirror
) -> None:
    omni, alarms = InMemoryOmni(), Alarms(client)
    old = omni.give(Kind.BMC_CONFIGURATION, MACHINE)
    new = omni.give(Kind.BMC_CONFIGURATION, MACHINE, manually_configured=True)
    mirror.put_and_wake(new)
    assert alarms.take(10) == [MACHINE]
    mirror.put_and_wake(new)
    assert alarms.take(10) == []
    mirror.put_and_wake(old)
    assert alarms.take(10) == [MACHINE]
    configuration = mirror.load(MACHINE).bmc_configuration
    assert configuration is not None and configuration.manually_configured


def test_later_alarm_does_not_push_an_earlier_one_back(client: fakeredis.FakeRedis) -> None:
    alarms = Alarms(client)
    alarms.wake(MACHINE)
    alarms.wake(MACHINE, after_s=60)
    assert alarms.take(10) == [MACHINE] and alarms.take(10) == []


def test_config_is_served_while_the_window_is_not_known_and_then_only_to_machines_that_booted(
    client: fakeredis.FakeRedis,
) -> None:
    boots = Boots(client)
    assert boots.config_allowed(MACHINE, "192.0.2.1", match_address=False)
    client.set("om:boots-tracked", 1)  # long ago
    assert not boots.config_allowed(MACHINE, "192.0.2.1", match_address=False)
    boots.note(MACHINE, "192.0.2.1", "agent-pxe")
    assert boots.config_allowed(MACHINE, "192.0.2.2", match_address=False)
    assert not boots.config_allowed(MACHINE, "192.0.2.2", match_address=True)
    assert boots.config_allowed(MACHINE, "192.0.2.1", match_address=True)
