"""Who may have the machine configuration: whoever booted in the last 30 minutes, or anybody while that is not known."""

from __future__ import annotations

import fakeredis
import pytest

from app.omni.kinds import Kind
from app.state.boots import WINDOW_S, Boots
from app.state.clock import STEPPED
from app.state.connection import now_ms
from app.state.mirror import Mirror, machine_key
from app.state.secrets import Sealer
from app.state.wake import Alarms
from tests.unit.omni_in_memory import InMemoryOmni

BOOTED, OTHER = "4c4c4544-0042-3010-8052-b4c04f4e3632", "11111111-2222-3333-4444-555555555555"
TRACKED, HERE, THERE = "om:boots-tracked", "10.0.0.7", "10.0.0.8"


class Site:
    """Boots on a Redis, which has watched for a given time."""

    def __init__(self) -> None:
        self.redis = fakeredis.FakeRedis()
        self.boots = Boots(self.redis)

    def watched_for(self, seconds: float) -> None:
        self.redis.set(TRACKED, now_ms(self.redis) - round(seconds * 1000))

    def allowed(self, machine_id: str, address: str | None = HERE, *, match: bool = False) -> bool:
        return self.boots.config_allowed(machine_id, address, match_address=match)


@pytest.fixture
def site() -> Site:
    made = Site()
    made.watched_for(WINDOW_S + 60)
    return made


def test_machine_that_booted_may_have_it_for_thirty_minutes_and_no_other(site: Site) -> None:
    site.boots.note(BOOTED, HERE, "agent-pxe")
    assert site.allowed(BOOTED)
    assert not site.allowed(OTHER)
    life_s = site.redis.ttl(f"om:boot:{BOOTED}")
    assert WINDOW_S - 5 <= life_s <= WINDOW_S == 1_800
    site.redis.delete(f"om:boot:{BOOTED}")  # as it ends
    assert not site.allowed(BOOTED)


def test_boot_wakes_the_watcher_until_it_has_made_the_machine_status_and_not_again(site: Site) -> None:
    alarms, mirror, omni = Alarms(site.redis), Mirror(site.redis, Sealer(b"k" * 32)), InMemoryOmni()
    for _ in range(2):
        site.boots.note(BOOTED, HERE, "agent-pxe")
        assert alarms.take(10) == [BOOTED]
    mirror.put(omni.give(Kind.MACHINE_STATUS, BOOTED))
    site.boots.note(BOOTED, HERE, "agent-pxe")
    assert alarms.take(10) == []
    site.boots.forget(BOOTED)
    site.boots.note(BOOTED, HERE, "agent-pxe")
    assert alarms.take(10) == [BOOTED]


def test_first_boot_of_a_machine_whose_agent_came_before_wakes_the_watcher(site: Site) -> None:
    Mirror(site.redis, Sealer(b"k" * 32)).put(InMemoryOmni().give(Kind.MACHINE_STATUS, BOOTED))
    site.boots.note(BOOTED, HERE, "agent-pxe")
    assert Alarms(site.redis).take(10) == [BOOTED]


def test_notes_of_a_machine_end_after_a_day_where_there_is_no_resource_of_it(site: Site) -> None:
    Mirror(site.redis, Sealer(b"k" * 32)).put(InMemoryOmni().give(Kind.INFRA_MACHINE, BOOTED))
    for machine_id in (BOOTED, OTHER):
        site.boots.note(machine_id, HERE, "agent-pxe")
    assert site.redis.ttl(machine_key(BOOTED)) == -1
    assert 86_400 - 5 <= site.redis.ttl(machine_key(OTHER)) <= 86_400


def test_each_boot_opens_the_window_anew(site: Site) -> None:
    site.boots.note(BOOTED, HERE, "agent-pxe")
    site.redis.expire(f"om:boot:{BOOTED}", 5)
    site.boots.note(BOOTED, HERE, "talos-pxe")
    assert site.redis.ttl(f"om:boot:{BOOTED}") > WINDOW_S - 5


def test_another_address_may_ask_unless_the_address_must_match(site: Site) -> None:
    site.boots.note(BOOTED, HERE, "agent-pxe")
    assert site.allowed(BOOTED, THERE)
    assert site.allowed(BOOTED, HERE, match=True)
    assert not site.allowed(BOOTED, THERE, match=True)
    assert not site.allowed(BOOTED, None, match=True)


def test_address_of_the_latest_boot_is_the_one_that_must_match(site: Site) -> None:
    site.boots.note(BOOTED, HERE, "agent-pxe")
    site.boots.note(BOOTED, THERE, "agent-pxe")
    assert site.allowed(BOOTED, THERE, match=True)
    assert not site.allowed(BOOTED, HERE, match=True)


@pytest.mark.parametrize("match", [False, True])
def test_nobody_is_refused_before_we_have_watched_for_thirty_minutes(site: Site, match: bool) -> None:
    for watched_s, allowed in ((0, True), (WINDOW_S - 10, True), (WINDOW_S + 1, False)):
        site.watched_for(watched_s)
        assert site.allowed(OTHER, match=match) is allowed
    site.redis.flushall()
    assert site.allowed(OTHER, match=match)
    assert now_ms(site.redis) - int(site.redis.get(TRACKED) or 0) < 5_000  # and from now on it is watched


def test_boot_that_is_known_must_match_its_address_also_while_others_are_not_known(site: Site) -> None:
    site.redis.flushall()
    site.boots.note(BOOTED, HERE, "agent-pxe")
    assert site.allowed(OTHER, THERE, match=True)
    assert not site.allowed(BOOTED, THERE, match=True)


def test_lost_notes_are_not_known_for_thirty_minutes(site: Site) -> None:
    assert not site.allowed(OTHER)
    site.boots.lost()
    assert site.allowed(OTHER)


def test_clock_put_forward_ends_notes_early_so_nothing_is_known(site: Site) -> None:
    now = now_ms(site.redis)
    site.redis.set(STEPPED, now - 60_000)
    assert site.allowed(OTHER)
    site.redis.set(STEPPED, now - (WINDOW_S + 60) * 1000)
    assert not site.allowed(OTHER)


def test_clock_put_back_does_not_open_the_window_for_longer_than_thirty_minutes(site: Site) -> None:
    day_ms = 86_400_000
    site.redis.set(TRACKED, now_ms(site.redis) + day_ms)
    assert site.allowed(OTHER)
    assert int(site.redis.get(TRACKED) or 0) <= now_ms(site.redis)
