"""The registry of tunnels: its times are Redis' own, and it keeps nothing for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from unittest.mock import ANY

import fakeredis
import pytest

from app.omni.kinds import Kind
from app.state.agents import GATEWAYS, LAST_REFUSED, AgentRegistry, Held, Standing, agent_key
from app.state.connection import now_ms
from app.state.facts import RefusedTunnel, refused_of
from app.state.lease import Leases
from app.state.metrics import TUNNELS_REFUSED
from app.state.mirror import Mirror
from app.state.mirror_keys import machine_key
from app.state.secrets import Sealer
from app.state.wake import Alarms
from tests.unit.omni_in_memory import InMemoryOmni

MACHINE = "4c4c4544-0042-3510-8051-b4c04f573332"
GATEWAY, ADDRESS = "g1", "192.0.2.1:1"
DAY_S = 86_400
STRANGER_S = 600
HOUR_MS = 3_600_000

Story = Callable[[AgentRegistry], Awaitable[object]]


class Site:
    """One server, seen by the gateway and by the test."""

    def __init__(self) -> None:
        self._server = fakeredis.FakeServer()
        self.redis = fakeredis.FakeRedis(server=self._server)

    def run(self, story: Story) -> None:
        """Run a story of the gateway's."""

        async def whole() -> None:
            client = fakeredis.FakeAsyncRedis(server=self._server)
            await story(AgentRegistry(client))
            await client.aclose()

        asyncio.run(whole())

    def connect(self) -> int:
        """A tunnel whose agent has answered; its number."""

        async def story(registry: AgentRegistry) -> None:
            number, stands = await registry.register(MACHINE, GATEWAY, ADDRESS, "192.0.2.7")
            assert stands
            assert await registry.hello(MACHINE, number)

        self.run(story)
        return self.entry("number")

    def hold_resource(self) -> None:
        """The machine has a resource, as the mirror puts it there."""
        Mirror(self.redis, Sealer(b"k" * 32)).put(InMemoryOmni().give(Kind.INFRA_MACHINE, MACHINE))

    def renew(self, number: int, *, age_ms: int) -> None:
        """Renew the machine's tunnel, opened a minute ago, whose agent answered so long ago."""
        held = {MACHINE: Held(number, 60_000, age_ms, "192.0.2.7")}
        self.run(lambda registry: registry.renew(GATEWAY, ADDRESS, held))

    def entry(self, name: str) -> int:
        """A number of the machine's entry."""
        value = self.redis.hget(agent_key(MACHINE), name)
        assert isinstance(value, bytes)
        return int(value)


@pytest.fixture
def site() -> Site:
    return Site()


def test_lost_entry_is_put_back_with_the_time_of_the_last_answer_by_the_clock_of_redis(site: Site) -> None:
    number = site.connect()
    site.redis.flushall()
    before_ms = now_ms(site.redis)
    site.renew(number, age_ms=7_000)
    assert before_ms <= site.entry("hello_ms") + 7_000 <= now_ms(site.redis)
    assert before_ms <= site.entry("opened_ms") + 60_000 <= now_ms(site.redis)
    assert site.entry("number") == number


def test_lost_entry_of_an_agent_that_never_answered_is_put_back_as_such(site: Site) -> None:
    number = site.connect()
    site.redis.flushall()
    site.renew(number, age_ms=-1)
    assert site.entry("hello_ms") == 0


@pytest.mark.parametrize("lost", [False, True])
def test_registered_tunnel_is_found_with_the_address_of_its_agent_also_after_it_was_put_back(
    site: Site, lost: bool
) -> None:
    number = site.connect()
    if lost:
        site.redis.flushall()
    site.renew(number, age_ms=0)

    async def story(registry: AgentRegistry) -> None:
        found = await registry.holder(MACHINE)
        assert found is not None
        assert (found.gateway, found.address, found.number, found.peer) == (GATEWAY, ADDRESS, number, "192.0.2.7")
        assert await registry.holder("another") is None

    site.run(story)


def test_refused_tunnel_is_counted_and_noted_with_its_address(site: Site) -> None:
    before_ms = now_ms(site.redis)
    for address in ("192.0.2.8", "192.0.2.9"):
        site.run(lambda registry, a=address: registry.refused(MACHINE, a))
    assert site.redis.get(TUNNELS_REFUSED) == b"2"
    last = site.redis.get(LAST_REFUSED)
    assert isinstance(last, bytes) and last.startswith(MACHINE.encode()) and last.endswith(b" 192.0.2.9")
    assert DAY_S - 60 < site.redis.ttl(LAST_REFUSED) <= DAY_S
    note = site.redis.hget(machine_key(MACHINE), "f:refused-tunnel")
    assert isinstance(note, bytes)
    refused = refused_of(note.decode())
    assert refused is not None and refused.address == "192.0.2.9"
    assert before_ms <= refused.at_ms <= now_ms(site.redis)
    assert STRANGER_S - 60 < site.redis.ttl(machine_key(MACHINE)) <= STRANGER_S


def test_note_of_a_refused_tunnel_lets_no_resource_end(site: Site) -> None:
    site.hold_resource()
    site.run(lambda registry: registry.refused(MACHINE, ""))
    assert site.redis.ttl(machine_key(MACHINE)) == -1


def test_refused_tunnel_from_an_unknown_address_is_noted_too() -> None:
    assert refused_of("5 ") == RefusedTunnel(5, "")
    assert refused_of("") is None


def test_entry_that_stands_keeps_its_time_at_the_renewal(site: Site) -> None:
    number = site.connect()
    hello_ms = site.entry("hello_ms")
    site.renew(number, age_ms=90_000)
    assert site.entry("hello_ms") == hello_ms


def test_all_that_is_kept_of_a_machine_without_resources_ends_after_minutes(site: Site) -> None:
    number = site.connect()
    site.run(lambda registry: registry.unregister(MACHINE, number))
    lives_s = [site.redis.ttl(key) for key in site.redis.scan_iter(f"*{MACHINE}*")]
    assert len(lives_s) == 3
    assert all(STRANGER_S - 60 < life_s <= STRANGER_S for life_s in lives_s)


def test_notes_of_the_boots_of_a_machine_without_resources_are_not_cut_short(site: Site) -> None:
    site.redis.hset(machine_key(MACHINE), "f:booted", 1)
    site.redis.expire(machine_key(MACHINE), DAY_S)
    site.connect()
    assert DAY_S - 60 < site.redis.ttl(machine_key(MACHINE)) <= DAY_S


def test_all_that_is_kept_of_a_machine_with_a_resource_stays_long(site: Site) -> None:
    site.hold_resource()
    number = site.connect()
    site.run(lambda registry: registry.unregister(MACHINE, number))
    lives_s = sorted(site.redis.ttl(key) for key in site.redis.scan_iter(f"*{MACHINE}*"))
    assert lives_s[0] == -1  # the hash with the resource
    assert lives_s[1:] == [ANY, ANY] and lives_s[1] > DAY_S - 60


def test_gateways_that_ended_unseen_are_forgotten_after_an_hour(site: Site) -> None:
    now = now_ms(site.redis)
    site.redis.zadd(GATEWAYS, {"long-gone": now - HOUR_MS - 1_000, "just-now": now - HOUR_MS + 60_000})
    site.run(lambda registry: registry.renew(GATEWAY, ADDRESS, {}))
    assert set(site.redis.zrange(GATEWAYS, 0, -1)) == {b"just-now", GATEWAY.encode()}


@pytest.mark.parametrize("works", [True, False])
def test_tunnel_that_ends_wakes_the_watcher_unless_an_operation_works_whose_end_does(works: bool) -> None:
    site = Site()
    number, alarms = site.connect(), Alarms(site.redis)
    alarms.take(10)
    if works:
        Leases(site.redis).take(MACHINE, "power_off", "t1")
    site.run(lambda registry: registry.unregister(MACHINE, number))
    assert alarms.take(10) == ([] if works else [MACHINE])
    assert not site.redis.exists(agent_key(MACHINE))


HERE, THERE = "192.0.2.7", "192.0.2.8"


class Registered:
    """Tunnels of one machine at several gateways."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def register(self, gateway: str, peer: str, **told: int) -> tuple[int, bool]:
        """Register a tunnel; its number, and whether it stands."""
        answers: list[tuple[int, bool]] = []

        async def story(registry: AgentRegistry) -> None:
            answers.append(await registry.register(MACHINE, gateway, f"{gateway}:1", peer, **told))

        self.site.run(story)
        return answers[0]

    def ask(self, gateway: str, mine: Held, *, claims: bool = False) -> Standing:
        """Renew or claim the entry for a tunnel; how that one stands."""
        answers: list[Standing] = []

        async def story(registry: AgentRegistry) -> None:
            if claims:
                answers.append(await registry.claim(MACHINE, gateway, f"{gateway}:1", mine))
            else:
                found = await registry.renew(gateway, f"{gateway}:1", {MACHINE: mine})
                answers.append(found.get(MACHINE, Standing.KEPT))

        self.site.run(story)
        return answers[0]

    def hello(self, number: int) -> bool:
        """Tell that the agent of a tunnel has answered."""
        answers: list[bool] = []

        async def story(registry: AgentRegistry) -> None:
            answers.append(await registry.hello(MACHINE, number))

        self.site.run(story)
        return answers[0]


@pytest.fixture
def registered(site: Site) -> Registered:
    return Registered(site)


def test_tunnel_from_another_address_does_not_stand_beside_one_that_was_not_asked(registered: Registered) -> None:
    first, _ = registered.register("g1", HERE)
    second, stands = registered.register("g2", THERE)
    assert second > first and not stands
    assert registered.site.entry("number") == first
    assert not registered.hello(second)
    third, stands = registered.register("g2", THERE, over=first)
    assert stands
    assert registered.site.entry("number") == third


def test_tunnel_from_the_same_address_and_one_in_the_same_gateway_stand_at_once(registered: Registered) -> None:
    registered.register("g1", HERE)
    assert registered.register("g2", HERE)[1]
    assert registered.register("g2", THERE)[1]


def test_tunnel_told_late_goes_behind_a_newer_one_from_the_same_address(registered: Registered) -> None:
    newer, _ = registered.register("g1", HERE)
    late, stands = registered.register("g2", HERE, age_ms=5_000)
    assert late < newer and not stands
    assert registered.ask("g2", Held(late, 5_000, 0, HERE), claims=True) is Standing.LOST


@pytest.mark.parametrize("loss", ["emptied", "expired", "overtaken"])
def test_first_tunnel_takes_the_machine_back_from_one_that_came_in_unasked_and_that_one_closes(
    registered: Registered, loss: str
) -> None:
    first, _ = registered.register("g1", HERE)
    if loss == "emptied":
        registered.site.redis.flushall()
    if loss == "expired":
        registered.site.redis.delete(agent_key(MACHINE))
    second, stands = registered.register("g2", THERE, over=first if loss == "overtaken" else 0)
    assert stands and registered.hello(second)
    mine, theirs = Held(first, 60_000, 100, HERE), Held(second, 1_000, 100, THERE)
    assert registered.ask("g1", mine) is Standing.CONTESTED
    assert registered.site.entry("number") == second
    assert not registered.hello(first)
    assert registered.ask("g1", mine, claims=True) is Standing.KEPT
    assert registered.hello(first)
    assert registered.ask("g2", theirs) is Standing.LOST
    assert registered.ask("g2", theirs, claims=True) is Standing.LOST
    assert registered.ask("g1", mine) is Standing.KEPT
    assert registered.register("g1", HERE)[0] > second  # numbers go on rising


def test_first_tunnel_that_was_put_back_unasked_does_not_close_a_second_one_that_was_let_in(
    registered: Registered,
) -> None:
    first, _ = registered.register("g1", HERE)
    second, _ = registered.register("g2", THERE, over=first)
    registered.site.redis.flushall()
    assert registered.ask("g1", Held(first, 60_000, 30_000, HERE)) is Standing.KEPT
    theirs = Held(second, 1_000, 100, THERE)
    assert registered.ask("g2", theirs) is Standing.CONTESTED
    assert registered.ask("g2", theirs, claims=True) is Standing.KEPT
    assert registered.ask("g1", Held(first, 60_000, 31_000, HERE)) is Standing.CONTESTED


def test_older_tunnel_from_the_same_address_closes(registered: Registered) -> None:
    first, _ = registered.register("g1", HERE)
    registered.register("g2", HERE)
    mine = Held(first, 60_000, 100, HERE)
    assert registered.ask("g1", mine) is Standing.LOST
    assert registered.ask("g1", mine, claims=True) is Standing.LOST


def test_tunnel_whose_newer_one_has_ended_has_to_answer_before_it_stands_again(registered: Registered) -> None:
    first, _ = registered.register("g1", HERE)
    second, _ = registered.register("g2", HERE)
    registered.site.run(lambda registry: registry.unregister(MACHINE, second))
    mine = Held(first, 60_000, 100, HERE)
    assert registered.ask("g1", mine) is Standing.CONTESTED
    assert registered.ask("g1", mine, claims=True) is Standing.KEPT
