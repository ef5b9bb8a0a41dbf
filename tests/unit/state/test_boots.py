"""Who may have the machine configuration: whoever booted in the last 30 minutes, or anybody while that is not known."""

from __future__ import annotations

import fakeredis
import pytest

from app.omni.kinds import Kind
from app.state import boots as boots_module
from app.state.boots import WINDOW_S, Boots, Named
from app.state.clock import STEPPED
from app.state.connection import now_ms
from app.state.mirror import Mirror
from app.state.mirror_keys import machine_key
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


@pytest.fixture
def room_for_three(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(boots_module, "MOST_STRANGERS", 3)
    return site


def made_up(number: int) -> str:
    return f"99999999-0000-0000-0000-{number:012d}"


def flood(site: Site, boots: int = 20) -> None:
    for number in range(boots):
        site.boots.note(made_up(number), THERE, "agent-pxe", Named("mac", "serial"))


def test_notes_of_strangers_beyond_the_most_push_out_the_oldest_and_leave_nothing(room_for_three: Site) -> None:
    flood(room_for_three, 20)
    left = [number for number in range(20) if room_for_three.allowed(made_up(number))]
    assert left == [17, 18, 19]
    for pattern in ("om:m:*", "om:boot:*"):
        assert len(room_for_three.redis.keys(pattern)) == 3


def test_stranger_that_boots_again_counts_once_and_as_the_newest(room_for_three: Site) -> None:
    for machine_id in (BOOTED, OTHER, BOOTED, BOOTED, made_up(1), made_up(2)):
        room_for_three.boots.note(machine_id, HERE, "agent-pxe")
    assert room_for_three.allowed(BOOTED)
    assert not room_for_three.allowed(OTHER)


@pytest.mark.parametrize("known_first", [True, False])
def test_machine_with_resources_is_never_pushed_out_by_strangers(room_for_three: Site, known_first: bool) -> None:
    resource = InMemoryOmni().give(Kind.INFRA_MACHINE, BOOTED)
    mirror = Mirror(room_for_three.redis, Sealer(b"k" * 32))
    if known_first:
        mirror.put(resource)
    room_for_three.boots.note(BOOTED, HERE, "agent-pxe", Named("aa", "S1"))
    if not known_first:
        mirror.put(resource)
    before = room_for_three.redis.hgetall(machine_key(BOOTED))
    flood(room_for_three)
    assert room_for_three.allowed(BOOTED, HERE, match=True)
    assert room_for_three.redis.hgetall(machine_key(BOOTED)) == before


def test_other_notes_of_a_stranger_that_is_pushed_out_stay(room_for_three: Site) -> None:
    room_for_three.boots.note(BOOTED, HERE, "agent-pxe", Named("aa", "S1"))
    room_for_three.redis.hset(machine_key(BOOTED), "f:hello", 5)
    flood(room_for_three)
    assert room_for_three.redis.hgetall(machine_key(BOOTED)) == {b"f:hello": b"5"}
    assert not room_for_three.allowed(BOOTED)


def test_watcher_is_not_woken_for_strangers_beyond_the_most(room_for_three: Site) -> None:
    flood(room_for_three)
    assert Alarms(room_for_three.redis).take(100) == [made_up(0), made_up(1), made_up(2)]
    room_for_three.boots.note(made_up(19), HERE, "agent-pxe")  # it is one of those that are kept
    assert Alarms(room_for_three.redis).take(100) == [made_up(19)]


def test_strangers_that_have_become_known_leave_their_places_to_others(room_for_three: Site) -> None:
    mirror, omni = Mirror(room_for_three.redis, Sealer(b"k" * 32)), InMemoryOmni()
    for number in range(100, 103):
        room_for_three.boots.note(made_up(number), HERE, "agent-pxe")
        mirror.put(omni.give(Kind.MACHINE_STATUS, made_up(number)))
    Alarms(room_for_three.redis).take(100)
    flood(room_for_three, 3)
    assert Alarms(room_for_three.redis).take(100) == [made_up(0), made_up(1), made_up(2)]
    assert all(room_for_three.allowed(made_up(number)) for number in (0, 1, 2, 100, 101, 102))


def test_strangers_of_yesterday_hold_no_place(room_for_three: Site) -> None:
    flood(room_for_three, 3)
    aged = {made_up(number): now_ms(room_for_three.redis) - 86_400_001 for number in range(3)}
    room_for_three.redis.zadd("om:strangers", aged)
    Alarms(room_for_three.redis).take(100)
    room_for_three.boots.note(BOOTED, HERE, "agent-pxe")
    assert Alarms(room_for_three.redis).take(100) == [BOOTED]
    assert room_for_three.redis.zcard("om:strangers") == 1


def test_strangers_from_before_the_clock_was_put_back_do_not_push_out_new_ones(room_for_three: Site) -> None:
    ahead_ms = now_ms(room_for_three.redis) + 86_400_000
    room_for_three.redis.zadd("om:strangers", {made_up(number): ahead_ms for number in range(3)})
    room_for_three.boots.note(BOOTED, HERE, "agent-pxe")
    assert room_for_three.allowed(BOOTED)


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
