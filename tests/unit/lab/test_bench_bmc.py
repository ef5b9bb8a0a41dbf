"""What the bench of BMCs says of what it measured."""

import pytest

from lab.bench import bmc
from lab.bench.bmc import judge_manners, judge_orders, judge_silent, judge_sweep
from lab.bench.bmc_fleet import API, IPMI, REDFISH, BmcFleet
from lab.bench.bmc_site import Order, Sweep
from lab.bench.processes import busy_s
from lab.product import ProductError


@pytest.fixture(autouse=True)
def _two_processors(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})


def sweep(wall_s, stand_ins_s=0.0, unread=0):
    return Sweep(1000, wall_s, provider_s=2.0, stand_ins_s=stand_ins_s, others_s=0.5, unread=unread)


@pytest.mark.parametrize(("wall_s", "holds"), [(5.0, True), (5.1, False)])
def test_steady_sweep_is_judged_by_all_its_time_and_what_the_stand_ins_took_is_told(wall_s, holds):
    judged, _, _, stand_ins, _ = judge_sweep(API, 950, "steady", sweep(wall_s, 2.0), bound_s=API.limit_s)
    assert (judged.holds, judged.figure) == (holds, f"{wall_s:.1f} s")
    assert (stand_ins.holds, stand_ins.figure) == (None, "2.0 s on 2 processors")


@pytest.mark.parametrize(("asked", "holds"), [(50, True), (49, False)])
def test_sweep_that_does_not_ask_all_silent_bmcs_breaks_a_bound(asked, holds):
    row = judge_silent(API, "steady", asked, 50)
    assert (row.holds, row.figure, row.bound) == (holds, f"{asked} of 50", "all")


def test_first_sweep_is_told_and_a_living_bmc_that_was_not_read_breaks_a_bound():
    told, unread, provider, *_ = judge_sweep(IPMI, 950, "first", sweep(99.0, unread=1), bound_s=None)
    assert (told.holds, unread.holds) == (None, False)
    assert provider.figure == "2.0 s, 2.1 ms each"


@pytest.mark.parametrize(("slowest_s", "holds"), [(2.0, True), (2.1, False)])
def test_slowest_command_during_a_sweep_counts(slowest_s, holds):
    orders = [Order(0.1, 2.8, 3.0)] * 4 + [Order(slowest_s, 2.5, 2.6)]
    row = judge_orders(REDFISH, orders)
    assert (row.holds, row.figure) == (holds, f"{slowest_s:.2f} s (2.80 s, 3.00 s) at most, 5 machines")


def test_command_that_never_came_breaks_the_bound():
    assert judge_orders(REDFISH, [Order(0.1, 0.2, 0.3)] * 4).holds is False


@pytest.mark.parametrize(
    ("counts", "holds"),
    [
        ({}, [True, True, True]),
        ({"most_users": 2, "sessions": 3}, [False, False, True]),
        ({"most_users": 0, "sessions_expired": 1}, [False, False, True]),
        ({"slots": 1}, [True, True, False]),
        ({"slots_expired": 1}, [True, True, False]),
    ],
)
def test_one_user_at_a_time_and_no_session_nor_slot_left(counts, holds):
    fleet = BmcFleet(IPMI, 3)
    left = dict.fromkeys(("sessions", "sessions_expired", "slots", "slots_expired"), 0)
    fleet.counts = {"most_users": 1} | left | counts
    assert [row.holds for row in judge_manners(IPMI, fleet)] == holds


def test_login_of_each_kind_names_the_bmc_of_the_machine():
    for program in (API, IPMI, REDFISH):
        fleet = BmcFleet(program, 3)
        fleet.port = 4000
        fleet.addresses = {"a": "127.78.0.1", "b": "127.78.0.2"}
        fleet.silent = {"127.78.0.2"}
        login = fleet.configuration("a")
        place = login.api_address or f"{login.ipmi.address}:{login.ipmi.port}"
        assert place == f"127.78.0.1:{623 if program is REDFISH else 4000}"
        assert fleet.living == ["a"]


def test_kind_that_cannot_be_measured_fails_and_what_was_before_is_told(monkeypatch, capsys):
    def measure(program, _):
        if program is IPMI:
            raise ProductError("lab.bmc.ipmi did not come up")
        return judge_sweep(program, 950, "steady", sweep(1.0), bound_s=5.0)

    monkeypatch.setattr(bmc, "measure", measure)
    monkeypatch.setattr("sys.argv", ["bmc"])
    assert bmc.main() == 1
    said = capsys.readouterr()
    assert "API: steady sweep" in said.out and "did not come up" in said.out
    assert "nothing more" in said.out and "Redfish" not in said.out
    monkeypatch.setattr("sys.argv", ["bmc", "--kind=api"])
    assert bmc.main() == 0


def test_processor_time_of_this_host_grows():
    before = busy_s()
    sum(number * number for number in range(3_000_000))
    assert busy_s() > before > 0
