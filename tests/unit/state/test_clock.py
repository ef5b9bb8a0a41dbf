"""A clock that is put forward or back: noticed, noted in each picture, and outlived by nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import fakeredis
import pytest

from app.machine.model import PowerState
from app.state.clock import SETTLES_MS, ClockWatch, cut_lifetimes
from app.state.connection import now_ms
from app.state.facts import Notes, Tunnel, agent_accessible, facts, power_on
from app.state.lease import LEASE_MS, QUEUED_S, longest_lives_ms
from app.state.mirror import Mirror
from app.state.secrets import Sealer

HOUR_MS = 3_600_000
BEFORE = 1_700_000_000_000
MINUTE = 60_000


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS, 6_000, -6_000])
def test_step_is_told_once(by_ms: int) -> None:
    watch = ClockWatch()
    assert not watch.stepped(BEFORE, 10.0, 10.001, 0)
    assert not watch.stepped(BEFORE + 60_000, 70.0, 70.001, 0)
    assert watch.stepped(BEFORE + 61_000 + by_ms, 71.0, 71.001, 0)
    assert not watch.stepped(BEFORE + 62_000 + by_ms, 72.0, 72.001, BEFORE + 61_000 + by_ms)


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
@pytest.mark.parametrize(
    ("noted_ago_ms", "told"),
    [(10, False), (50_000, False), (90_000, True), (30 * HOUR_MS, True)],
)
def test_step_that_another_process_has_noted_since_is_not_told_again(by_ms: int, noted_ago_ms: int, told: bool) -> None:
    watch = ClockWatch()
    watch.stepped(BEFORE, 10.0, 10.0, 0)
    now_ms = BEFORE + 60_000 + by_ms
    assert watch.stepped(now_ms, 70.0, 70.0, now_ms - noted_ago_ms) is told


@pytest.mark.parametrize(
    ("redis_ms", "asked_s", "answered_s"),
    [
        (BEFORE + 60_000, 10.0, 70.0),  # it answered after a minute
        (BEFORE, 10.0, 70.0),  # its answer was on its way for a minute
        (BEFORE + 4_000, 10.1, 10.1),
        (BEFORE + HOUR_MS, 9.9, 10.1),  # asked beside the first one
    ],
)
def test_slow_answer_or_small_drift_is_no_step(redis_ms: int, asked_s: float, answered_s: float) -> None:
    watch = ClockWatch()
    watch.stepped(BEFORE, 10.0, 10.0, 0)
    assert not watch.stepped(redis_ms, asked_s, answered_s, 0)


def test_every_picture_tells_of_a_step_that_any_process_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    client = fakeredis.FakeRedis()
    noticing, other = Mirror(client, Sealer(b"k" * 32)), Mirror(client, Sealer(b"k" * 32))
    assert noticing.load("m").facts.clock_stepped is None
    stepped = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("app.state.clock.ClockWatch.stepped", lambda *_: True)
    assert abs(noticing.load("m").facts.clock_stepped - datetime.now(UTC)) < timedelta(seconds=5)  # type: ignore[operator]
    monkeypatch.setattr("app.state.clock.ClockWatch.stepped", lambda *_: False)
    told = other.load("m").facts.clock_stepped
    assert told is not None and told < stepped
    assert other.load("m").facts.clock_stepped == told


def test_no_task_begins_just_after_a_step_which_may_have_ended_the_leases_of_those_that_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = fakeredis.FakeRedis()
    mirror, other = Mirror(client, Sealer(b"k" * 32)), Mirror(client, Sealer(b"k" * 32))
    mirror.mark_complete(mirror.begin_build(), 0)
    assert mirror.settling() == ""
    with monkeypatch.context() as stepping:
        stepping.setattr("app.state.clock.ClockWatch.stepped", lambda *_: True)
        _, refused = mirror.load_to_act("m")
    assert "put forward or back" in refused
    assert other.load_to_act("m")[1] == other.settling() == refused
    assert 0 < client.pttl("om:quarantine") <= SETTLES_MS
    client.delete("om:quarantine")
    client.set("om:clock-stepped", now_ms(client) - SETTLES_MS)
    assert (mirror.load_to_act("m")[1], mirror.settling()) == ("", "")


def tunnel(opened_ms: int, hello_ms: int) -> Tunnel:
    return Tunnel("g", "a", 1, opened_ms, hello_ms)


BACK = BEFORE - HOUR_MS
FORTH = BEFORE + HOUR_MS


@pytest.mark.parametrize(
    ("situation", "now_ms", "notes", "wanted"),
    [
        (
            "put back since it was reset; its agent came after that",
            BACK + MINUTE,
            Notes(acted_ms=BEFORE - 1000, tunnel=tunnel(BACK + 1000, BACK + 2000), stepped_ms=BACK),
            True,
        ),
        (
            "the same, and nobody has noticed the step",
            BACK + MINUTE,
            Notes(acted_ms=BEFORE - 1000, tunnel=tunnel(BACK + 1000, BACK + 2000)),
            True,
        ),
        (
            "its agent came before it was reset, both before the clock was put back",
            BACK + 1000,
            Notes(acted_ms=BEFORE - 1000, tunnel=tunnel(BEFORE - 9000, BEFORE - 5000), stepped_ms=BACK),
            False,
        ),
        (
            "its agent came after it was reset, both before the clock was put back",
            BACK + 1000,
            Notes(acted_ms=BEFORE - 9000, tunnel=tunnel(BEFORE - 8000, BACK + 500), stepped_ms=BACK),
            True,
        ),
        (
            "the old tunnel answers just after the reset and the step",
            BACK + 2000,
            Notes(acted_ms=BEFORE - 10, tunnel=tunnel(BEFORE - 9000, BACK + 1000), stepped_ms=BACK),
            False,
        ),
        (
            "it survived the reset",
            BACK + 20_000,
            Notes(acted_ms=BEFORE - 10, tunnel=tunnel(BEFORE - 9000, BACK + 16_000), stepped_ms=BACK),
            True,
        ),
        (
            "reset, then put forward: the old tunnel still answers",
            FORTH + 2000,
            Notes(acted_ms=BEFORE - 10, tunnel=tunnel(BEFORE - 9000, FORTH + 1000), stepped_ms=FORTH),
            False,
        ),
        (
            "reset after the clock was put back, the agent answered before",
            BACK + 5000,
            Notes(
                acted_ms=BACK + 4000, hello_ms=BEFORE - 10, tunnel=tunnel(BEFORE - 9000, BEFORE - 10), stepped_ms=BACK
            ),
            False,
        ),
        (
            "answered after the clock was put back, then gone: not for a minute yet",
            BACK + 5000,
            Notes(acted_ms=BEFORE - 10, hello_ms=BACK + 1000, tracking_ms=BACK, stepped_ms=BACK),
            None,
        ),
        (
            "gone just before the clock was put forward",
            FORTH + 5000,
            Notes(gone_ms=BEFORE - 10, tracking_ms=BEFORE - HOUR_MS, stepped_ms=FORTH),
            None,
        ),
        (
            "gone for a minute since",
            FORTH + MINUTE,
            Notes(gone_ms=BEFORE - 10, tracking_ms=BEFORE - HOUR_MS, stepped_ms=FORTH),
            False,
        ),
        (
            "gone just before the clock was put back, and for a minute since",
            BACK + MINUTE,
            Notes(gone_ms=BEFORE - 10, tracking_ms=BACK, stepped_ms=BACK),
            False,
        ),
    ],
)
def test_agent_is_not_called_gone_or_there_by_a_clock_that_stepped(
    situation: str, now_ms: int, notes: Notes, wanted: bool | None
) -> None:
    assert agent_accessible(notes, now_ms) is wanted, situation


def test_agent_that_answers_after_the_clock_was_put_back_says_that_the_power_is_on() -> None:
    notes = Notes(power=PowerState.OFF, power_ms=BEFORE, tunnel=tunnel(BACK + 10, BACK + 20), stepped_ms=BACK)
    assert power_on(notes, BACK + 30) is None


def test_facts_tell_of_the_step() -> None:
    assert facts(Notes(stepped_ms=BACK), BACK + 1).clock_stepped == datetime.fromtimestamp(BACK / 1000, UTC)
    assert facts(Notes(), BACK).clock_stepped is None


def test_lease_and_mark_end_in_time_although_the_clock_was_put_back() -> None:
    client = fakeredis.FakeRedis()
    client.set("om:lease:m", "x", px=LEASE_MS + HOUR_MS)
    client.set("om:queued:m", "x", px=QUEUED_S * 1000 + HOUR_MS)
    client.set("om:lease:n", "x", px=1000)
    cut_lifetimes(client, longest_lives_ms(["m", "n", "o"]))
    assert 0 < client.pttl("om:lease:m") <= LEASE_MS
    assert LEASE_MS < client.pttl("om:queued:m") <= QUEUED_S * 1000
    assert client.pttl("om:lease:n") <= 1000
    assert not client.exists("om:lease:o")
