"""The door to the BMCs: one user at a time, no refused login twice, and what is remembered for how long."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
import redis
import structlog.testing

from app.machine.model import BmcConfiguration, Ipmi, PowerState
from app.state.bmc_lease import BmcLeases, Taken
from app.state.bmc_notes import BmcFound, BmcTrouble, noted
from app.state.connection import as_fields, now_ms
from app.state.logins import REFUSED, REST_S, RefusedLogins, unbelieved_key
from app.state.mirror_keys import QUARANTINE, machine_key
from app.state.secrets import Sealer
from app.state.wake import Alarms
from config.settings import Settings
from tests.unit.workers.conftest import MACHINE, FakeBmc
from workers.bmc import door as door_module
from workers.bmc import held
from workers.bmc.calls import Calls
from workers.bmc.client import Bmc
from workers.bmc.door import BmcDoor
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcInUse, BmcRefused, BmcUnreachable
from workers.bmc.known import BmcKind, Known

OTHER = "4c4c4544-0042-3510-8051-b4c04f573333"
LOGIN = BmcConfiguration(ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "correct horse"))
LEASE, PAUSE = "om:bmc:192.0.2.1:623", "om:bmc-pause:192.0.2.1:623"
IPMI = Known(BmcKind.IPMI, vendor="Wiwynn", model="M1", firmware="1.2")


@dataclass
class Site:
    """A door, and the BMC behind it."""

    redis: fakeredis.FakeRedis
    settings: Settings
    bmc: FakeBmc
    opened: list[dict[str, Any]] = field(default_factory=list)
    fails: Exception | None = None

    def door(self, client: redis.Redis | None = None) -> BmcDoor:
        """The door of another process."""
        client = client or self.redis
        pause_ms = int(self.settings.ipmi_min_interval_s * 1000)
        return BmcDoor(self.settings, BmcLeases(client, pause_ms), RefusedLogins(client, Sealer(bytes(32))))

    def open_session(self, machine_id: str, configuration: BmcConfiguration, *rest: Any, **options: Any) -> FakeBmc:
        del machine_id, configuration
        self.opened.append({"known": rest[1], **options})
        if self.fails is not None:
            raise self.fails
        if rest[1] is not None:
            self.bmc.known = rest[1]
        return self.bmc

    def open(self, login: BmcConfiguration = LOGIN) -> Bmc:
        """A session, after the pause."""
        self.redis.delete(PAUSE)
        return self.door().open(MACHINE, login, waits=False)

    def read(self, login: BmcConfiguration = LOGIN) -> PowerState:
        """One session that reads."""
        bmc = self.open(login)
        try:
            return bmc.power_state()
        finally:
            bmc.close()

    def fail(self, error: Exception) -> None:
        """One session that comes to nothing."""
        self.bmc.fails["status"] = error
        with pytest.raises(type(error)):
            self.read()
        del self.bmc.fails["status"]

    def noted(self) -> tuple[BmcFound | None, BmcTrouble | None]:
        return noted(as_fields(self.redis.hgetall(machine_key(MACHINE))))

    def trouble(self) -> BmcTrouble:
        trouble = self.noted()[1]
        assert trouble is not None
        return trouble

    def known_and_worked(self) -> list[tuple[Known | None, bool]]:
        """With what each session began."""
        return [(call["known"], call["login_worked"]) for call in self.opened]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    settings = Settings(
        omni_api_endpoint="http://192.0.2.9",
        api_advertise_address="192.0.2.8",
        state_dir=tmp_path,
        ipmi_min_interval_s=1.0,
    )
    site = Site(fakeredis.FakeRedis(), settings, FakeBmc(known=IPMI))
    monkeypatch.setattr(door_module, "open_session", site.open_session)
    monkeypatch.setattr(door_module, "TURN_WITHIN_S", 0.2)
    yield site
    assert site.redis.get(LEASE) in (None, b"somebody else")


def test_bmc_in_use_is_refused_to_who_does_not_wait_and_nothing_is_sent(site: Site) -> None:
    first = site.door().open(MACHINE, LOGIN)
    with pytest.raises(BmcInUse, match=r"192\.0\.2\.1:623.*in use") as refused:
        site.door().open(OTHER, replace(LOGIN, ipmi=Ipmi("192.0.2.1", 0, "root", "x")), waits=False)
    assert refused.value.executed is False
    assert isinstance(refused.value, BmcBusy)
    assert len(site.opened) == 1
    first.close()


def test_who_waits_gets_the_bmc_when_its_user_is_done(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = site.door().open(MACHINE, BmcConfiguration(api_address="192.0.2.7:80"))
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        first.close()

    site.bmc.known = Known(BmcKind.API)
    monkeypatch.setattr(door_module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    site.door().open(OTHER, BmcConfiguration(api_address="192.0.2.7:80")).close()
    assert len(naps) == 1


def test_who_waits_for_a_bmc_in_use_looks_ten_times_a_second_and_sleeps_through_a_pause(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.redis.set(LEASE, "the sweep", px=30_000)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 4:
            site.redis.delete(LEASE)
            site.redis.set(PAUSE, 1, px=1_000)
        elif len(naps) == 5:
            site.redis.delete(PAUSE)

    monkeypatch.setattr(door_module, "TURN_WITHIN_S", 45.0)
    monkeypatch.setattr(door_module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    site.door().open(MACHINE, LOGIN).close()
    assert max(naps[:4]) <= 0.1
    assert 0.9 < naps[4] <= 1.0 and len(naps) == 5


def test_who_waits_too_long_for_a_bmc_is_told_that_it_is_in_use(site: Site) -> None:
    site.redis.set(LEASE, "somebody else", px=30_000)
    with pytest.raises(BmcInUse):
        site.door().open(MACHINE, LOGIN)
    assert site.opened == []


def test_dead_users_lease_ends_by_itself(site: Site) -> None:
    site.door().open(MACHINE, LOGIN)
    assert 29_000 < site.redis.pttl(LEASE) <= 30_000
    site.redis.pexpire(LEASE, 0)
    assert site.read() is PowerState.ON


def test_lease_from_before_the_clock_was_put_back_is_cut_to_its_lifetime(site: Site) -> None:
    site.redis.set(LEASE, "somebody else", px=3_600_000)
    with pytest.raises(BmcInUse):
        site.door().open(MACHINE, LOGIN, waits=False)
    assert site.redis.pttl(LEASE) <= 30_000


def test_nobody_gets_a_bmc_while_its_user_may_have_lost_its_lease_with_redis_or_its_clock(site: Site) -> None:
    first = site.door().open(MACHINE, LOGIN)
    site.redis.flushall()
    site.redis.set(QUARANTINE, 1, px=15_000)
    with pytest.raises(BmcInUse, match="may be in use"):
        site.door().open(OTHER, LOGIN, waits=False)
    first.power_off()  # its user takes it again
    site.redis.delete(QUARANTINE)
    with pytest.raises(BmcInUse, match="one user at a time"):
        site.door().open(OTHER, LOGIN, waits=False)
    first.close()
    assert len(site.opened) == 1


@pytest.mark.parametrize("command", ["power_on", "power_off", "reboot", "arm_pxe"])
def test_command_is_not_sent_once_somebody_else_has_the_bmc(site: Site, command: str) -> None:
    bmc = site.door().open(MACHINE, LOGIN)
    site.redis.set(LEASE, "somebody else")
    with pytest.raises(BmcInUse, match="by now") as refused:
        getattr(bmc, command)(*(("uefi",) if command == "arm_pxe" else ()))
    assert refused.value.executed is False
    bmc.close()
    assert site.bmc.log == ["close"]
    assert site.redis.get(LEASE) == b"somebody else"
    assert site.noted()[1] is None


def test_read_is_not_sent_once_somebody_else_may_have_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bmc = site.door().open(MACHINE, LOGIN)
    site.redis.set(LEASE, "somebody else")
    assert bmc.power_state() is PowerState.ON  # it was ours a moment ago, and would be for 30 s
    later_s = held.time.monotonic() + 6
    monkeypatch.setattr(held.time, "monotonic", lambda: later_s)
    with pytest.raises(BmcInUse):
        bmc.power_state()
    bmc.close()


def test_lease_that_went_with_all_of_redis_is_taken_again_before_the_next_command(site: Site) -> None:
    bmc = site.door().open(MACHINE, LOGIN)
    site.redis.flushall()
    bmc.power_off()
    assert site.redis.exists(LEASE)
    bmc.close()


def test_lease_lives_on_while_a_call_lasts_and_not_after_the_session(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "_TRUSTED_S", 0.0)
    the_door = site.door()
    monkeypatch.setattr(the_door, "_calls", Calls(look_every_s=0.002))
    bmc = the_door.open(MACHINE, LOGIN)
    lives_ms: list[int] = []

    def reboot() -> None:
        site.redis.pexpire(LEASE, 1_000)
        deadline_s = time.monotonic() + 5
        while site.redis.pttl(LEASE) <= 1_000 and time.monotonic() < deadline_s:
            time.sleep(0.001)
        lives_ms.append(site.redis.pttl(LEASE))

    monkeypatch.setattr(site.bmc, "reboot", reboot)
    bmc.reboot()
    assert lives_ms[0] > 29_000
    bmc.close()
    assert isinstance(bmc, held.HeldBmc)
    bmc.stay()
    assert not site.redis.exists(LEASE)


class AwayRedis(fakeredis.FakeRedis):
    """A Redis that goes away when told."""

    away = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if self.away:
            raise redis.ConnectionError
        return super().execute_command(*args, **options)


def test_redis_that_is_away_lets_no_session_begin(site: Site) -> None:
    away = AwayRedis()
    away.away = True
    with pytest.raises(redis.ConnectionError):
        site.door(away).open(MACHINE, LOGIN)
    assert site.opened == []


def test_session_goes_on_while_redis_is_away_but_commands_nothing_after_its_lease(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = AwayRedis()
    bmc = site.door(away).open(MACHINE, LOGIN)
    away.away = True
    assert bmc.power_state() is PowerState.ON
    bmc.power_off()
    later_s = held.time.monotonic() + 31
    monkeypatch.setattr(held.time, "monotonic", lambda: later_s)
    assert bmc.power_state() is PowerState.OFF
    with pytest.raises(BmcInUse) as refused:
        bmc.power_on()
    assert refused.value.executed is False
    bmc.close()
    assert site.bmc.commands == ["off"]


@pytest.mark.parametrize("answers", [True, False])
def test_command_is_not_sent_where_the_look_at_the_lease_took_longer_than_it_lives(
    site: Site, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    bmc = site.door().open(MACHINE, LOGIN)
    bmc.power_off()
    extend = BmcLeases.extend

    def stands_still(leases: BmcLeases, taken: Taken) -> bool:
        ours, later_s = extend(leases, taken), held.time.monotonic() + 31
        monkeypatch.setattr(held.time, "monotonic", lambda: later_s)
        if not answers:
            raise redis.TimeoutError
        return ours

    monkeypatch.setattr(BmcLeases, "extend", stands_still)
    with pytest.raises(BmcInUse) as refused:
        bmc.power_on()
    assert refused.value.executed is False
    bmc.close()
    assert site.bmc.commands == ["off"]


def test_pause_follows_an_ipmi_session_and_no_other_kind(site: Site) -> None:
    site.read()
    assert 900 < site.redis.pttl(PAUSE) <= 1_000
    with pytest.raises(BmcInUse, match="--ipmi-min-interval"):
        site.door().open(MACHINE, LOGIN, waits=False)
    site.bmc.known = Known(BmcKind.REDFISH)
    site.redis.flushall()
    site.read()
    assert not site.redis.exists(PAUSE)


def test_who_waits_outlasts_the_pause_however_long_it_is(site: Site) -> None:
    site.settings = replace(site.settings, ipmi_min_interval_s=0.4)  # longer than an operation waits for its turn
    site.door().open(MACHINE, LOGIN).close()
    began_s = time.monotonic()
    site.door().open(MACHINE, LOGIN).close()
    assert time.monotonic() - began_s > 0.35
    assert len(site.opened) == 2


def test_pause_follows_a_login_that_ipmi_did_not_answer(site: Site) -> None:
    site.fails = BmcUnreachable("no answer", executed=False)
    with pytest.raises(BmcUnreachable):
        site.read()
    assert site.redis.exists(PAUSE)


def test_what_was_found_is_handed_to_the_next_session_with_the_same_login(site: Site) -> None:
    site.read()
    site.read()
    site.read(replace(LOGIN, ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "another")))
    assert site.known_and_worked() == [(None, False), (IPMI, True), (None, False)]


def test_what_was_found_is_forgotten_after_an_hour_at_the_latest(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.read()
    monkeypatch.setattr(door_module, "KNOWN_FOR_MS", 600_000)  # less than by how much sooner it may be
    site.read()
    monkeypatch.setattr(door_module, "KNOWN_FOR_MS", 0)
    site.read()
    assert [call["known"] for call in site.opened][2] is None


def test_what_was_found_is_noted_once_and_with_the_time_at_which_it_was(site: Site) -> None:
    with structlog.testing.capture_logs() as logs:
        site.read()
        found = site.noted()[0]
        site.read()
    assert found is not None and found.name == "Wiwynn M1 (firmware 1.2)"
    assert abs(found.found_ms - now_ms(site.redis)) < 1_000
    assert site.noted()[0] == found
    assert [entry["event"] for entry in logs] == ["bmc_found"]


def test_what_is_learned_later_does_not_make_it_younger(site: Site) -> None:
    site.read()
    first = site.noted()[0]
    bmc = site.open()
    site.bmc.known = replace(IPMI, firmware="1.3")
    bmc.describe()
    bmc.close()
    second = site.noted()[0]
    assert first is not None and second is not None
    assert (second.firmware, second.found_ms) == ("1.3", first.found_ms)


def test_three_errors_in_a_row_have_it_found_out_anew(site: Site) -> None:
    site.read()
    for _ in range(3):
        site.fail(BmcRefused("404", executed=False))
    site.read()
    assert [call["known"] for call in site.opened] == [None, IPMI, IPMI, IPMI, None]
    assert site.noted()[1] is None


def test_failures_in_a_row_are_counted_and_put_off_for_longer_each_time(site: Site) -> None:
    pauses_s = []
    for _ in range(5):
        site.fail(BmcUnreachable("no answer", executed=False))
        trouble = site.trouble()
        pauses_s.append(round((trouble.next_ms - now_ms(site.redis)) / 1000))
    assert pauses_s == [5, 15, 60, 300, 300]
    assert (trouble.count, trouble.error, trouble.refused) == (5, "BmcUnreachable", False)
    assert trouble.told.startswith("no answer. Check that the BMC has power")


def test_session_in_which_something_succeeded_is_no_failure(site: Site) -> None:
    site.fail(BmcUnreachable("no answer", executed=False))
    bmc = site.open()
    bmc.power_state()
    site.bmc.fails["on"] = BmcRefused("500")
    with pytest.raises(BmcRefused):
        bmc.power_on()
    bmc.close()
    assert site.noted()[1] is None


def test_failures_at_another_place_do_not_count(site: Site) -> None:
    site.fail(BmcUnreachable("no answer", executed=False))
    moved = replace(LOGIN, ipmi=Ipmi("192.0.2.2", 623, "talos-agent", "correct horse"))
    site.bmc.fails["status"] = BmcUnreachable("no answer", executed=False)
    with pytest.raises(BmcUnreachable):
        site.read(moved)
    assert (site.trouble().count, site.trouble().place) == (1, "192.0.2.2:623")


def test_refused_login_ends_the_session_and_is_not_tried_again(site: Site) -> None:
    site.bmc.fails["status"] = BmcAuthenticationFailed("Incorrect password", executed=False)
    bmc = site.door().open(MACHINE, LOGIN)
    for _ in range(2):
        with pytest.raises(BmcAuthenticationFailed, match="Incorrect password"):
            bmc.power_state()
    assert site.bmc.log == ["status", "close"]
    assert not site.redis.exists(LEASE)
    bmc.close()
    for _ in range(2):
        with pytest.raises(BmcAuthenticationFailed, match="refused this login before"):
            site.open()
    assert len(site.opened) == 1
    assert (site.trouble().refused, site.trouble().count) == (True, 1)
    assert "correct horse" not in repr(site.redis.hgetall(machine_key(MACHINE)))


def test_refusal_at_the_login_itself_is_noted_and_logged_once(site: Site) -> None:
    site.fails = BmcAuthenticationFailed("Unauthorized name\n", executed=False)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(BmcAuthenticationFailed):
                site.read()
    assert [(entry["event"], entry["machine_id"]) for entry in logs] == [("bmc_login_refused", MACHINE)]
    assert "\n" not in logs[0]["error"]


def test_refused_login_is_told_although_the_note_of_it_was_lost(site: Site) -> None:
    site.fails = BmcAuthenticationFailed("no", executed=False)
    with pytest.raises(BmcAuthenticationFailed):
        site.read()
    site.redis.hdel(machine_key(MACHINE), "f:bmc-trouble")
    with pytest.raises(BmcAuthenticationFailed):
        site.read()
    assert site.trouble().refused


def test_login_that_worked_and_is_refused_counts_as_one_that_never_worked(site: Site) -> None:
    site.read()
    site.fail(BmcAuthenticationFailed("no", executed=False))
    site.door().forget(MACHINE)
    site.read()
    assert site.known_and_worked()[-1] == (None, False)
    assert site.noted()[1] is None


def test_refusals_of_a_session_that_was_lost_count_on_in_the_next_ones(site: Site) -> None:
    site.read()
    lost = BmcUnreachable("gone amid a login", executed=False)
    lost.refusals = 2
    site.fail(lost)
    site.fail(BmcUnreachable("silent"))
    assert [worked for _, worked in site.known_and_worked()] == [False, True, False]
    site.read()  # it takes its login: those before were none
    site.read()
    assert [worked for _, worked in site.known_and_worked()][3:] == [False, True]


def test_refusals_before_a_success_in_the_same_session_do_not_count(site: Site) -> None:
    site.read()
    bmc = site.open()
    lost = BmcUnreachable("gone amid a login", executed=False)
    lost.refusals = 1
    site.bmc.fails["status"] = lost
    with pytest.raises(BmcUnreachable):
        bmc.power_state()
    del site.bmc.fails["status"]
    bmc.power_state()
    bmc.close()
    site.read()
    assert [worked for _, worked in site.known_and_worked()] == [False, True, True]


def test_command_is_not_sent_where_the_lease_was_not_looked_at_for_longer_than_it_lives(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = site.open()
    now_s = time.monotonic() + held.LEASE_MS / 1000 + 1
    monkeypatch.setattr(held, "time", SimpleNamespace(monotonic=lambda: now_s))
    with pytest.raises(BmcInUse, match="not used for longer than its lease lives"):
        bmc.power_off()
    assert site.bmc.commands == []
    bmc.close()


def test_lease_that_ended_while_the_process_stood_still_is_not_made_good_amid_a_call(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = site.open()
    assert isinstance(bmc, held.HeldBmc)
    site.redis.delete(LEASE)
    now_s = time.monotonic() + held.LEASE_MS / 1000 + 1
    monkeypatch.setattr(held, "time", SimpleNamespace(monotonic=lambda: now_s))
    bmc.stay()
    assert not site.redis.exists(LEASE)
    with pytest.raises(BmcInUse) as refused:
        bmc.still_ours()
    assert refused.value.executed is False
    bmc.close()


def test_user_who_stood_still_writes_nothing_over_the_notes_of_one_who_has_come_and_gone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = site.open()
    site.bmc.fails["status"] = BmcUnreachable("no answer", executed=False)
    with pytest.raises(BmcUnreachable):
        failed.power_state()
    site.redis.delete(LEASE, PAUSE)
    refused = site.open()
    site.redis.delete(LEASE, PAUSE)
    succeeds = site.open()
    site.redis.delete(LEASE, PAUSE)
    del site.bmc.fails["status"]
    site.read(replace(LOGIN, ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "another")))
    before = site.redis.hgetall(machine_key(MACHINE))
    real = time.monotonic
    clock = SimpleNamespace(monotonic=real)
    monkeypatch.setattr(held, "time", clock)

    def stands_still() -> PowerState:
        clock.monotonic = lambda: real() + held.LEASE_MS / 1000 + 1
        return PowerState.ON

    monkeypatch.setattr(site.bmc, "power_state", stands_still)
    assert succeeds.power_state() is PowerState.ON
    succeeds.close()
    failed.close()
    assert site.redis.hgetall(machine_key(MACHINE)) == before

    def stands_still_and_refuses() -> PowerState:
        stands_still()
        raise BmcAuthenticationFailed("no", executed=False)

    clock.monotonic = real
    monkeypatch.setattr(site.bmc, "power_state", stands_still_and_refuses)
    with pytest.raises(BmcAuthenticationFailed):
        refused.power_state()
    after = site.redis.hgetall(machine_key(MACHINE))
    assert after.pop(REFUSED.encode()) and after == before


def test_refusals_that_were_not_believed_count_for_a_minute_although_the_clock_was_put_back(site: Site) -> None:
    lost = BmcUnreachable("gone amid a login", executed=False)
    lost.refusals = 2
    site.fail(lost)
    key = unbelieved_key("192.0.2.1:623")
    site.redis.pexpire(key, 3_600_000)
    bmc = site.open()
    assert 0 < site.redis.pttl(key) <= REST_S * 1000
    bmc.close()


REDFISH = Known(BmcKind.REDFISH, "/redfish/v1/Systems/1", matched=True)


@pytest.mark.parametrize("forgets", ["age", "errors"])
def test_that_the_system_was_surely_the_machines_outlives_what_is_known(
    site: Site, monkeypatch: pytest.MonkeyPatch, forgets: str
) -> None:
    site.bmc.known = REDFISH
    site.read()
    site.read()
    if forgets == "age":
        monkeypatch.setattr(door_module, "KNOWN_FOR_MS", 0)
    for _ in range(3 if forgets == "errors" else 0):
        site.fail(BmcUnreachable("silent"))
    site.read()
    last = [(call["known"], call["matched"]) for call in site.opened]
    assert (last[0], last[1], last[-1]) == ((None, False), (REDFISH, True), (None, True))


def test_that_the_system_was_surely_the_machines_is_forgotten_with_another_login_and_by_a_probe(site: Site) -> None:
    site.bmc.known = REDFISH
    site.read()
    site.door().forget(MACHINE)
    site.read()
    site.read(replace(LOGIN, ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "another")))
    assert [call["matched"] for call in site.opened] == [False, False, False]


def test_person_who_probes_has_the_bmc_asked_anew(site: Site) -> None:
    site.read()
    site.door().forget(MACHINE)
    assert site.noted()[0] is None
    site.read()
    assert site.known_and_worked()[-1] == (None, True)


def test_fault_of_the_program_gives_the_bmc_back_and_tells_no_secret(site: Site) -> None:
    site.fails = RecursionError("correct horse")
    with pytest.raises(RecursionError):
        site.read()
    assert site.trouble().words == "a fault of the program (RecursionError)"


def test_note_of_another_version_is_passed_over(site: Site) -> None:
    site.read()
    notes = {"f:bmc-found": '{"kind": "telnet"}', "f:bmc-trouble": "17 refused no"}
    site.redis.hset(machine_key(MACHINE), mapping=notes)
    assert site.read() is PowerState.ON
    assert site.known_and_worked()[-1] == (None, True)


def test_session_is_given_a_look_at_the_lease_from_which_nothing_is_sent_once_it_is_anothers(site: Site) -> None:
    bmc = site.door().open(MACHINE, LOGIN)
    still_ours = site.opened[0]["still_ours"]
    still_ours()
    site.redis.set(LEASE, "somebody else")
    with pytest.raises(BmcInUse, match="by now") as refused:
        still_ours()
    assert refused.value.executed is False
    bmc.close()
    with pytest.raises(BmcInUse, match="has ended"):
        still_ours()


def test_look_at_the_lease_in_the_midst_of_a_call_asks_redis_each_time_and_goes_by_its_lifetime_without(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = AwayRedis()
    bmc = site.door(away).open(MACHINE, LOGIN)
    still_ours = site.opened[0]["still_ours"]
    away.pexpire(LEASE, 1_000)
    still_ours()
    assert away.pttl(LEASE) > 29_000
    away.away = True
    still_ours()
    later_s = held.time.monotonic() + 31
    monkeypatch.setattr(held.time, "monotonic", lambda: later_s)
    with pytest.raises(BmcInUse, match="ConnectionError"):
        still_ours()
    bmc.close()


def test_command_that_finds_the_bmc_lost_in_its_midst_is_no_failure_of_the_bmc(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = site.door().open(MACHINE, LOGIN)
    site.redis.delete(PAUSE)

    def reboot() -> None:
        site.redis.set(LEASE, "somebody else")
        site.opened[0]["still_ours"]()

    monkeypatch.setattr(site.bmc, "reboot", reboot)
    with pytest.raises(BmcInUse):
        bmc.reboot()
    bmc.close()
    assert site.noted()[1] is None


def test_refusal_that_redis_did_not_get_bars_the_login_in_this_process_and_is_told_later(site: Site) -> None:
    away = AwayRedis()
    door = site.door(away)
    bmc = door.open(MACHINE, LOGIN, waits=False)
    site.fails = site.bmc.fails["status"] = BmcAuthenticationFailed("no", executed=False)
    away.away = True
    with pytest.raises(BmcAuthenticationFailed):
        bmc.power_state()
    away.away = False
    assert away.hget(machine_key(MACHINE), REFUSED) is None
    away.delete(LEASE, PAUSE)
    with pytest.raises(BmcAuthenticationFailed, match="before"):
        door.open(MACHINE, LOGIN, waits=False)
    assert len(site.opened) == 1
    trouble = noted(as_fields(away.hgetall(machine_key(MACHINE))))[1]
    assert trouble is not None and trouble.refused
    away.delete(PAUSE)
    with pytest.raises(BmcAuthenticationFailed, match="before"):
        site.door(away).open(MACHINE, LOGIN, waits=False)  # another process knows it now
    door.forget(MACHINE)
    site.fails = None
    away.delete(PAUSE)
    door.open(MACHINE, LOGIN, waits=False).close()


def test_refused_login_gives_the_lease_back_and_wakes_the_watcher(site: Site) -> None:
    site.fails = BmcAuthenticationFailed("no", executed=False)
    with pytest.raises(BmcAuthenticationFailed):
        site.read()
    assert not site.redis.exists(LEASE)
    assert Alarms(site.redis).take(10) == [MACHINE]


def test_late_user_of_a_bmc_writes_nothing_over_its_next_users_notes_but_a_refusal(site: Site) -> None:
    late = site.door().open(MACHINE, LOGIN)
    site.bmc.fails["status"] = BmcUnreachable("no answer", executed=False)
    with pytest.raises(BmcUnreachable):
        late.power_state()
    site.redis.set(LEASE, "somebody else")
    late.close()
    assert site.noted() == (None, None)
    site.redis.delete(LEASE)
    late = site.open()
    del site.bmc.fails["status"]
    site.redis.set(LEASE, "somebody else")
    assert late.power_state() is PowerState.ON
    late.close()
    assert site.noted() == (None, None)
    site.redis.delete(LEASE)
    late = site.open()
    site.redis.set(LEASE, "somebody else")
    site.bmc.fails["status"] = BmcAuthenticationFailed("no", executed=False)
    with pytest.raises(BmcAuthenticationFailed):
        late.power_state()
    assert site.noted() == (None, None)
    site.redis.delete(LEASE)
    with pytest.raises(BmcAuthenticationFailed, match="before"):
        site.open()
    assert site.trouble().refused


def test_late_user_with_a_login_that_was_refused_before_spoils_no_note_of_the_one_that_works(site: Site) -> None:
    site.read()
    site.fail(BmcAuthenticationFailed("no", executed=False))
    newer = replace(LOGIN, ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "another"))
    site.read(newer)
    before = site.redis.hgetall(machine_key(MACHINE))
    with pytest.raises(BmcAuthenticationFailed, match="before"):
        site.open()
    assert site.redis.hgetall(machine_key(MACHINE)) == before
    site.read(newer)
    assert site.opened[-1]["login_worked"] is True
    assert site.noted()[1] is None


def test_refused_login_does_not_have_another_one_forgotten_that_worked(site: Site) -> None:
    site.read()
    site.fails = BmcAuthenticationFailed("no", executed=False)
    with pytest.raises(BmcAuthenticationFailed):
        site.read(replace(LOGIN, ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "wrong")))
    assert site.trouble().refused
    site.fails = None
    site.read()
    assert site.opened[-1]["login_worked"] is True


def refused_while_redis_was_away(site: Site) -> BmcDoor:
    """The door of the process that alone knows of the refusal."""
    away = AwayRedis()
    door = site.door(away)
    bmc = door.open(MACHINE, LOGIN, waits=False)
    site.bmc.fails["status"] = BmcAuthenticationFailed("no", executed=False)
    away.away = True
    with pytest.raises(BmcAuthenticationFailed):
        bmc.power_state()
    away.away, site.redis = False, away
    site.redis.delete(LEASE)
    del site.bmc.fails["status"]
    return door


def test_refusal_that_redis_did_not_get_is_told_though_another_login_has_worked_since(site: Site) -> None:
    door = refused_while_redis_was_away(site)
    site.read(replace(LOGIN, ipmi=Ipmi("192.0.2.1", 623, "talos-agent", "another")))
    site.redis.delete(PAUSE)
    with pytest.raises(BmcAuthenticationFailed, match="before"):
        door.open(MACHINE, LOGIN, waits=False)
    assert site.noted()[1] is None  # that is the other one's story
    with pytest.raises(BmcAuthenticationFailed, match="before"):
        site.open()
    assert len(site.opened) == 2


def test_refusal_that_redis_did_not_get_bars_the_login_no_longer_than_until_it_has_worked(site: Site) -> None:
    door = refused_while_redis_was_away(site)
    site.read()  # in another process
    site.redis.delete(PAUSE)
    door.open(MACHINE, LOGIN, waits=False).close()
    assert len(site.opened) == 3
