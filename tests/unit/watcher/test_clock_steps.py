"""What the watcher does when Redis' clock is put back: nothing waits for as long as the step was."""

from __future__ import annotations

import fakeredis
import pytest

from app.machine.decide import decide, operation_id
from app.machine.model import DecideOptions
from app.state.agents import GATEWAYS
from app.state.attempts import Attempt
from app.state.connection import now_ms
from app.state.health import live_gateways
from app.state.mirror_keys import TRACKING
from app.watcher import tracking
from app.watcher.choose import choose
from app.watcher.leader import LEADER, LOCK_MS, Leadership
from app.watcher.tracking import Tracking
from tests.unit.machine.pictures import NOW, wiping

HOUR_MS = 3_600_000
NOW_MS = int(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("failed_ms", "tried"),
    [(NOW_MS - 1, False), (NOW_MS + 100, False), (NOW_MS + HOUR_MS - 1, True)],
)
def test_pause_after_a_failure_ends_when_the_clock_is_put_back(failed_ms: int, tried: bool) -> None:
    machine = wiping(agent=True)
    decision = decide(machine, DecideOptions())
    [wipe] = decision.operations
    cause = operation_id(machine.id, wipe)
    attempt = Attempt("wipe", cause, 1, failed_ms + 60_000, False, "AgentUnavailable", "gone", failed_ms)
    choice = choose(machine, decision, {"wipe": attempt}, NOW_MS)
    assert (choice.operation is not None) is tried
    parked = Attempt("wipe", cause, 5, 0, True, "WipeNotPossible", "refused", failed_ms)
    assert choose(machine, decision, {"wipe": parked}, NOW_MS).operation is None


def test_time_that_all_was_watched_begins_anew_when_the_clock_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    client = fakeredis.FakeRedis()
    clock = [now_ms(client)]
    monkeypatch.setattr(tracking, "now_ms", lambda _: clock[0])
    monkeypatch.setattr(tracking, "live_gateways", lambda _: {"g"})
    watched = Tracking(client)
    watched.update()
    clock[0] -= HOUR_MS
    watched.update()
    assert int(client.get(TRACKING)) == clock[0]
    clock[0] += 1000
    watched.update()
    assert int(client.get(TRACKING)) == clock[0] - 1000


def test_gateway_that_beat_before_the_clock_was_put_back_is_not_alive_for_that() -> None:
    client = fakeredis.FakeRedis()
    now = now_ms(client)
    client.zadd(GATEWAYS, {"dead": now + HOUR_MS, "alive": now})
    assert live_gateways(client) == {"alive"}


def test_lead_of_a_dead_watcher_ends_in_time_although_the_clock_was_put_back() -> None:
    client = fakeredis.FakeRedis()
    client.set(LEADER, "dead", px=LOCK_MS + HOUR_MS)
    assert not Leadership(client).claim()
    assert client.pttl(LEADER) <= LOCK_MS
