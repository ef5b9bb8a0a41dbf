"""The power sweep: what it notes and when, and which BMCs and sweeps it leaves out."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import structlog.testing

from app.machine.model import BmcConfiguration, PowerState
from app.omni.kinds import Kind
from app.state import metrics
from app.state.bmc_notes import BmcTrouble
from app.state.connection import as_bytes, now_ms
from app.state.mirror_keys import machine_key
from tests.unit.workers.conftest import MACHINE, Bottle, FakeBmc
from workers import beat, poll
from workers.bmc import door
from workers.bmc.errors import BmcAuthenticationFailed, BmcRefused, BmcUnreachable
from workers.celery_app import app

OTHER = "4c4c4544-0042-3510-8051-b4c04f573333"


def opens(monkeypatch: pytest.MonkeyPatch, bmc_at: Any) -> None:
    """Let the BMC at each address of the api kind be what `bmc_at` says."""
    monkeypatch.setattr(door, "open_session", lambda _, configuration, *__, **___: bmc_at(configuration.api_address))


def give_bmc(bottle: Bottle, machine_id: str, address: str) -> None:
    bottle.services.mirror.put(
        bottle.omni.update(
            Kind.BMC_CONFIGURATION, machine_id, lambda d: setattr(d.spec.api, "address", address), create=True
        )
    )


def standing(bottle: Bottle, machine_id: str = MACHINE) -> str | None:
    note = bottle.services.redis.hget(machine_key(machine_id), "f:power")
    return None if note is None else as_bytes(note).decode().partition("@")[0]


class HookedBmc(FakeBmc):
    """A BMC that calls `hook` after its power was looked at, before the answer comes back."""

    hook: Callable[[], None]

    def power_state(self) -> PowerState:
        state = super().power_state()
        self.hook()
        return state


def test_reading_that_a_power_on_overtook_is_not_noted(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle.accepted()
    slow = HookedBmc(on=False)

    def power_on_meanwhile() -> None:
        time.sleep(0.005)
        bottle.services.power_notes.acted(MACHINE)
        bottle.services.power_notes.observed({MACHINE: PowerState.ON})

    slow.hook = power_on_meanwhile
    monkeypatch.setattr(door, "open_session", lambda *_, **__: slow)
    poll.sweep(bottle.services, [MACHINE])
    assert standing(bottle) == "ON"


def test_reading_is_noted_with_a_time_from_before_it_began(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle.accepted()
    began: list[int] = []
    slow = HookedBmc()

    def take_long() -> None:
        began.append(now_ms(bottle.services.redis))
        time.sleep(0.05)

    slow.hook = take_long
    monkeypatch.setattr(door, "open_session", lambda *_, **__: slow)
    earliest_ms = now_ms(bottle.services.redis)
    poll.sweep(bottle.services, [MACHINE])
    note = as_bytes(bottle.services.redis.hget(machine_key(MACHINE), "f:power"))
    at_ms = int(note.decode().partition("@")[2])
    assert earliest_ms - 2 <= at_ms <= began[0]


def test_dead_bmc_does_not_delay_the_note_of_another(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    give_bmc(bottle, MACHINE, "192.0.2.1:80")
    give_bmc(bottle, OTHER, "dead:80")
    noted, seen = threading.Event(), []
    note = bottle.services.power_notes.observed_at

    def observed_at(*words: Any, **options: Any) -> None:
        note(*words, **options)
        noted.set()

    dead = HookedBmc()
    dead.hook = lambda: seen.append(noted.wait(10))
    monkeypatch.setattr(type(bottle.services.power_notes), "observed_at", lambda _, *a, **o: observed_at(*a, **o))
    opens(monkeypatch, lambda address: dead if address == "dead:80" else bottle.bmc)
    poll.sweep(bottle.services, [MACHINE, OTHER])
    assert seen == [True]
    assert standing(bottle) == standing(bottle, OTHER) == "ON"


def test_bmc_that_cannot_be_read_is_unknown(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcUnreachable("no", executed=False)
    assert poll.sweep(bottle.services, [MACHINE]).states == {MACHINE: PowerState.UNKNOWN}
    assert standing(bottle) == "UNKNOWN"
    assert bottle.bmc.log[-1] == "close"


def test_bmc_that_breaks_its_client_is_unknown_and_costs_no_other_bmc(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_bmc(bottle, MACHINE, "192.0.2.1:80")
    give_bmc(bottle, OTHER, "192.0.2.2:80")
    broken = FakeBmc(fails={"status": RecursionError("secret words of a peer")})
    opens(monkeypatch, lambda address: broken if address == "192.0.2.2:80" else bottle.bmc)
    with structlog.testing.capture_logs() as logs:
        states = poll.sweep(bottle.services, [MACHINE, OTHER]).states
    assert states == {MACHINE: PowerState.ON, OTHER: PowerState.UNKNOWN}
    [line] = [entry for entry in logs if entry["log_level"] == "warning"]
    assert line["machine_id"] == OTHER
    assert line["error"] == "RecursionError"


def test_bmc_that_cannot_be_closed_keeps_its_reading(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle.accepted()

    def close(_: object) -> None:
        raise OSError

    monkeypatch.setattr(FakeBmc, "close", close)
    assert poll.sweep(bottle.services, [MACHINE]).states == {MACHINE: PowerState.ON}


def test_bmc_that_refuses_the_login_is_not_asked_again(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcAuthenticationFailed("no", executed=False)
    poll.sweep(bottle.services, [MACHINE])
    bottle.bmc.log.clear()
    assert poll.sweep(bottle.services, [MACHINE]).states == {MACHINE: PowerState.UNKNOWN}
    assert bottle.bmc.log == []
    assert standing(bottle) == "UNKNOWN"


def test_bmc_that_refused_a_login_is_asked_with_a_new_one(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcAuthenticationFailed("no", executed=False)
    poll.sweep(bottle.services, [MACHINE])
    del bottle.bmc.fails["status"]
    give_bmc(bottle, MACHINE, "192.0.2.7:80")
    assert poll.sweep(bottle.services, [MACHINE]).states == {MACHINE: PowerState.ON}


def test_machine_without_bmc_is_not_read(bottle: Bottle) -> None:
    bottle.give(Kind.INFRA_MACHINE, acceptance_status=1)
    assert poll.sweep(bottle.services, [MACHINE]).states == {}
    assert bottle.bmc.log == []


def test_sweep_that_comes_twice_is_dropped(bottle: Bottle) -> None:
    bottle.accepted()
    poll.power_sweep()
    poll.power_sweep()
    assert bottle.bmc.log.count("status") == 1
    lifetime_ms = bottle.services.redis.pttl("om:sweep:0")
    assert 23_000 < lifetime_ms <= 24_000  # the interval is 30 s
    bottle.services.redis.delete("om:sweep:0")
    poll.power_sweep()
    assert bottle.bmc.log.count("status") == 2


def test_first_part_of_many_machines_starts_the_others_without_an_end(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        give_bmc(bottle, f"4c4c4544-0042-3510-8051-{number:012d}", f"192.0.2.{number}:80")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(poll, "PART", 2)
    monkeypatch.setattr(poll.power_sweep, "apply_async", lambda **options: sent.append(options))
    poll.power_sweep()
    assert sent == [{"kwargs": {"part": 1}}, {"kwargs": {"part": 2}}]
    poll.power_sweep(part=2)
    assert bottle.bmc.log.count("status") == 3
    assert bottle.services.redis.exists("om:sweep:0", "om:sweep:2") == 2


def test_incomplete_mirror_is_not_swept(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.services.mirror.invalidate()
    poll.power_sweep()
    assert bottle.bmc.log == []


def test_beat_sends_sweeps_that_no_clock_of_another_host_can_end(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Beat:
        def __init__(self, **_: object) -> None: ...

        def run(self) -> None: ...

    monkeypatch.setattr(beat, "configure", lambda _: None)
    monkeypatch.setattr(app, "Beat", Beat)
    before = {name: app.conf[name] for name in ("beat_schedule", "beat_scheduler", "beat_max_loop_interval")}
    try:
        beat.run(bottle.services.settings)
        [entry] = app.conf.beat_schedule.values()
    finally:
        app.conf.update(before)
    assert entry == {"task": "power_sweep", "schedule": beat.SteadyInterval(30.0), "options": {"queue": "poll"}}


@pytest.mark.parametrize("put", [timedelta(hours=1), timedelta(hours=-1)])
def test_clock_of_the_sweep_goes_on_when_the_hosts_clock_is_put_forward_or_back(
    monkeypatch: pytest.MonkeyPatch, put: timedelta
) -> None:
    monotonic_s = [100.0]
    monkeypatch.setattr(beat.time, "monotonic", lambda: monotonic_s[0])
    interval = beat.SteadyInterval(30.0)
    began = datetime.now(UTC)
    monkeypatch.setattr(interval, "nowfun", lambda: began + put)
    assert tuple(interval.is_due(began)) == (False, 30.0)
    monotonic_s[0] += 29
    assert tuple(interval.is_due(began)) == (False, 1.0)
    monotonic_s[0] += 2
    assert interval.is_due(began).is_due
    ran = began + put
    assert tuple(interval.is_due(ran)) == (False, 30.0)


def test_slot_of_a_sweep_ends_although_the_clock_was_put_back(bottle: Bottle) -> None:
    bottle.services.redis.set("om:sweep:0", 1, px=3_600_000)
    poll.power_sweep.apply()
    assert bottle.services.redis.pttl("om:sweep:0") <= 60_000


def test_configuration_of_the_sweep_is_the_one_in_the_mirror(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle.accepted()
    asked: list[str | None] = []

    def open_session(_machine_id: str, configuration: BmcConfiguration, *_: Any, **__: Any) -> FakeBmc:
        asked.append(configuration.api_address)
        return bottle.bmc

    monkeypatch.setattr(door, "open_session", open_session)
    poll.sweep(bottle.services, [MACHINE])
    assert asked == ["192.0.2.1:80"]


def test_bmc_that_cannot_be_read_is_told_with_its_answer_until_it_can(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcUnreachable("no answer", executed=False)
    poll.sweep(bottle.services, [MACHINE])
    first = trouble(bottle)
    assert first is not None and not first.refused and first.told.startswith("no answer. Check")
    assert (first.error, first.count, first.next_ms) == ("BmcUnreachable", 1, first.since_ms + 5_000)
    bottle.services.logins.forget_refused(MACHINE)
    bottle.bmc.fails["status"] = BmcRefused("503", executed=False)
    poll.sweep(bottle.services, [MACHINE])
    second = trouble(bottle)
    assert second is not None and (second.since_ms, second.words) == (first.since_ms, "503")
    assert (second.count, second.error) == (2, "BmcRefused")
    bottle.services.logins.forget_refused(MACHINE)
    bottle.bmc.fails.clear()
    poll.sweep(bottle.services, [MACHINE])
    assert trouble(bottle) is None


def test_refused_login_is_told_as_such_and_stands_while_the_bmc_is_not_asked(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcAuthenticationFailed("401", executed=False)
    poll.sweep(bottle.services, [MACHINE])
    poll.sweep(bottle.services, [MACHINE])
    told = trouble(bottle)
    assert told is not None and told.refused and told.told.startswith("401. BMCs of the api kind have no login")
    assert bottle.bmc.log.count("status") == 1


def trouble(bottle: Bottle) -> BmcTrouble | None:
    ((_, notes),) = bottle.services.mirror.load_noted([MACHINE])
    return notes.bmc_trouble


def outcomes(bottle: Bottle, *machine_ids: str) -> dict[poll.Outcome, int]:
    return dict(poll.sweep(bottle.services, list(machine_ids or [MACHINE])).outcomes)


def test_bmc_in_use_is_left_out_and_its_reading_stands(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.services.power_notes.observed({MACHINE: PowerState.OFF})
    bottle.services.redis.set("om:bmc:192.0.2.1:80", "an operation", px=30_000)
    assert outcomes(bottle) == {poll.Outcome.IN_USE: 1}
    assert (standing(bottle), trouble(bottle), bottle.bmc.log) == ("OFF", None, [])


def test_bmc_that_failed_is_put_off_and_then_asked_again(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcUnreachable("no", executed=False)
    assert outcomes(bottle) == {poll.Outcome.UNREAD: 1}
    assert outcomes(bottle) == {poll.Outcome.PUT_OFF: 1}
    assert bottle.bmc.log.count("status") == 1
    assert standing(bottle) == "UNKNOWN"
    bottle.services.redis.hset(machine_key(MACHINE), "f:bmc-next", now_ms(bottle.services.redis))
    assert outcomes(bottle) == {poll.Outcome.UNREAD: 1}


@pytest.mark.parametrize("how", ["another address", "a person", "the clock was put back"])
def test_bmc_is_no_longer_put_off_after(bottle: Bottle, how: str) -> None:
    bottle.accepted()
    bottle.bmc.fails["status"] = BmcUnreachable("no", executed=False)
    poll.sweep(bottle.services, [MACHINE])
    if how == "another address":
        give_bmc(bottle, MACHINE, "192.0.2.7:80")
    elif how == "a person":
        bottle.services.logins.forget_refused(MACHINE)
    else:
        bottle.services.redis.hset(machine_key(MACHINE), "f:bmc-next", now_ms(bottle.services.redis) + 400_000)
    assert outcomes(bottle) == {poll.Outcome.UNREAD: 1}


def test_bmcs_that_failed_are_asked_last(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    third = "4c4c4544-0042-3510-8051-b4c04f573334"
    addresses = {MACHINE: "192.0.2.1:80", OTHER: "192.0.2.2:80", third: "192.0.2.3:80"}
    for machine_id, address in addresses.items():
        give_bmc(bottle, machine_id, address)
    dead = FakeBmc(fails={"status": BmcUnreachable("no", executed=False)})
    opens(monkeypatch, lambda address: dead if address == "192.0.2.1:80" else bottle.bmc)
    poll.sweep(bottle.services, list(addresses))
    bottle.services.logins.forget_refused(MACHINE)
    asked: list[str] = []
    monkeypatch.setattr(poll, "PART", 1)  # one after the other
    opens(monkeypatch, lambda address: asked.append(address) or bottle.bmc)  # type: ignore[func-returns-value]
    poll.sweep(bottle.services, list(addresses))
    assert asked == ["192.0.2.2:80", "192.0.2.3:80", "192.0.2.1:80"]


def test_bmcs_that_failed_are_left_for_the_next_sweep_where_this_one_takes_long(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_bmc(bottle, MACHINE, "192.0.2.1:80")
    give_bmc(bottle, OTHER, "192.0.2.2:80")
    dead = FakeBmc(fails={"status": BmcUnreachable("no", executed=False)})
    opens(monkeypatch, lambda address: dead if address == "192.0.2.1:80" else bottle.bmc)
    poll.sweep(bottle.services, [MACHINE, OTHER])
    bottle.services.logins.forget_refused(MACHINE)
    monkeypatch.setattr(poll, "_SUSPECTS_SHARE", -1.0)
    assert outcomes(bottle, MACHINE, OTHER) == {poll.Outcome.READ: 1, poll.Outcome.PUT_OFF: 1}
    assert dead.log.count("status") == 1
    monkeypatch.setattr(poll, "_SUSPECTS_SHARE", 0.5)
    assert outcomes(bottle, MACHINE, OTHER) == {poll.Outcome.READ: 1, poll.Outcome.UNREAD: 1}


def test_part_that_is_still_read_does_not_begin_again_beside_itself(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle.accepted()
    slow, lifetimes_ms = HookedBmc(), []

    def interval_passes() -> None:
        monkeypatch.setattr(poll, "_SAID_EVERY_S", 0.0)
        lifetimes_ms.append(bottle.services.redis.pttl("om:sweep:0"))
        poll.power_sweep()

    slow.hook = interval_passes
    monkeypatch.setattr(door, "open_session", lambda *_, **__: slow)
    poll.power_sweep()
    assert slow.log.count("status") == 1
    assert lifetimes_ms[0] > 59_000  # longer than the interval: it is said anew while it reads
    assert bottle.services.redis.pttl("om:sweep:0") <= 24_000


def test_first_part_that_is_still_read_does_not_keep_the_others_from_it(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        give_bmc(bottle, f"4c4c4544-0042-3510-8051-{number:012d}", "192.0.2.1:80")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(poll, "PART", 2)
    monkeypatch.setattr(poll.power_sweep, "apply_async", lambda **options: sent.append(options))
    bottle.services.redis.set("om:sweep:0", 1, px=60_000)
    poll.power_sweep()
    poll.power_sweep()
    assert sent == [{"kwargs": {"part": 1}}]
    assert bottle.bmc.log == []


def test_sweep_is_counted_with_what_it_left_out(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        give_bmc(bottle, f"4c4c4544-0042-3510-8051-{number:012d}", f"192.0.2.{number}:80")
    bottle.services.redis.set("om:bmc:192.0.2.0:80", "an operation", px=30_000)
    dead = FakeBmc(fails={"status": BmcUnreachable("no", executed=False)})
    locked = FakeBmc(fails={"status": BmcAuthenticationFailed("401", executed=False)})
    bmcs = {"192.0.2.1:80": dead, "192.0.2.2:80": locked}
    opens(monkeypatch, lambda address: bmcs.get(address, bottle.bmc))
    for unread, put_off in ((2, 0), (1, 1)):
        bottle.services.redis.delete("om:sweep:0")
        poll.power_sweep()
        counted = metrics.read(bottle.services.redis, 0).sweep
        assert counted is not None
        assert (counted.unread, counted.in_use, counted.put_off) == (unread, 1, put_off)


def test_redis_that_goes_away_ends_the_sweep(bottle: Bottle, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle.accepted()

    def take(*_: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr("app.state.bmc_lease.BmcLeases.take", take)
    with pytest.raises(redis.ConnectionError):
        poll.sweep(bottle.services, [MACHINE])
    assert standing(bottle) is None


def test_sweep_of_an_earlier_version_is_counted_as_well(bottle: Bottle) -> None:
    now = now_ms(bottle.services.redis)
    bottle.services.redis.hset(metrics.SWEEPS, mapping={"0": f"[{now - 100}, {now}, 3]"})
    counted = metrics.read(bottle.services.redis, 0).sweep
    assert counted is not None
    assert (counted.unread, counted.in_use, counted.put_off) == (3, 0, 0)


@pytest.mark.parametrize("how", ["runs", "is queued"])
def test_bmc_of_a_machine_on_which_an_operation_runs_or_is_queued_is_left_to_it(bottle: Bottle, how: str) -> None:
    bottle.accepted()
    give_bmc(bottle, OTHER, "192.0.2.2:80")
    bottle.services.power_notes.observed({MACHINE: PowerState.OFF})
    leases = bottle.services.leases
    if how == "runs":
        leases.take(MACHINE, "power_on", "t1")
    else:
        leases.mark_queued(MACHINE, "power_on")
    assert outcomes(bottle, MACHINE, OTHER) == {poll.Outcome.IN_USE: 1, poll.Outcome.READ: 1}
    assert standing(bottle) == "OFF"


def test_bmc_of_a_machine_that_is_being_wiped_is_read(bottle: Bottle) -> None:
    bottle.accepted()
    bottle.services.leases.take(MACHINE, "wipe", "t1")
    assert outcomes(bottle) == {poll.Outcome.READ: 1}


def one_after_the_other(bottle: Bottle, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> list[str]:
    """Sweep two BMCs; something happens while the first is read. The answer is the places that were asked."""
    asked: list[str] = []
    first = HookedBmc()
    first.hook = lambda: meanwhile() and None
    give_bmc(bottle, OTHER, "192.0.2.1:80")
    give_bmc(bottle, MACHINE, "192.0.2.2:80")
    monkeypatch.setattr(poll, "PART", 1)
    monkeypatch.setattr(poll, "_FRESH_S", 0.0)

    def bmc_at(address: str) -> FakeBmc:
        asked.append(address)
        return first if address == "192.0.2.1:80" else bottle.bmc

    opens(monkeypatch, bmc_at)
    poll.sweep(bottle.services, [OTHER, MACHINE])
    return asked


def test_login_that_changes_while_others_are_read_is_used_as_it_is_then(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = one_after_the_other(bottle, monkeypatch, lambda: give_bmc(bottle, MACHINE, "192.0.2.9:80"))
    assert asked == ["192.0.2.1:80", "192.0.2.9:80"]


def test_bmc_for_which_an_operation_is_queued_while_others_are_read_is_left_to_it(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = one_after_the_other(bottle, monkeypatch, lambda: bottle.services.leases.mark_queued(MACHINE, "power_on"))
    assert asked == ["192.0.2.1:80"]


def test_bmc_that_is_taken_away_while_others_are_read_is_not_asked(
    bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_away() -> None:
        configured = bottle.services.mirror.resource(Kind.BMC_CONFIGURATION, MACHINE)
        assert configured is not None
        bottle.services.mirror.remove(configured)

    assert one_after_the_other(bottle, monkeypatch, taken_away) == ["192.0.2.1:80"]
