"""What the bench of boots says of what it measured."""

import pytest

from app.omni.kinds import Kind
from lab.bench import boot
from lab.bench.boot import judge_memory, judge_steady, judge_storm
from lab.bench.boot_fleet import EXTENSIONS, KERNEL_ARGUMENTS, boot_paths, put_fleet, strangers
from lab.bench.boot_steady import Asker
from lab.bench.quantiles import median, p99
from lab.bench.rows import table
from lab.omni import StandInOmni
from lab.product import ProductError

SAID = {"answers": 1000, "took_s": 2.0, "median_ms": 9.0, "p99_ms": 21.0, "failed": 0}


@pytest.mark.parametrize(("slow", "holds"), [(10, True), (11, False)])
def test_of_a_thousand_boots_ten_may_be_slow(slow, holds):
    answered, times, questions = judge_storm(1000, 10, [30.0] * (1000 - slow) + [300.0] * slow, {}, 51)
    assert (answered.holds, times.holds, questions.holds) == (True, holds, None)


def test_boot_that_got_no_script_breaks_the_bound_and_is_told(capsys):
    answered, *_ = judge_storm(3, 10, [30.0, 31.0], {"HTTP 503: try again": 1}, 1)
    assert not answered.holds
    assert "1 times: HTTP 503: try again" in capsys.readouterr().err


def test_storm_without_any_answer_holds_nothing():
    assert [row.holds for row in judge_storm(3, 10, [], {"refused": 3}, 0)] == [False, False, None]


def test_rate_is_told_beside_its_goal_and_other_answers_break_the_bound():
    rows = judge_steady(SAID, ours_s=0.9, loader_s=0.02)
    assert [row.holds for row in rows] == [None, None, True, None, None]
    assert ("500", "goal 2,790") in [(row.figure, row.bound) for row in rows]
    assert "0.90 ms" in [row.figure for row in rows]
    assert judge_steady(SAID | {"failed": 1}, 1, 1)[2].holds is False


def test_table_shows_what_is_broken():
    lines = table([judge_memory(1000, 1300.0), judge_memory(1000, 600.0)]).splitlines()
    assert [line.rstrip(" |").rpartition("| ")[2] for line in lines[2:]] == ["NOT OK", "ok"]


def test_loader_that_fails_is_no_measurement(monkeypatch, capsys):
    async def fails(*_):
        raise ProductError("wrk has ended with exit status 1")

    monkeypatch.setattr(boot, "measure", fails)
    monkeypatch.setattr("sys.argv", ["boot"])
    assert boot.main() == 1
    assert "nothing was measured: wrk" in capsys.readouterr().err


def test_quantiles_of_few_times_and_of_none():
    assert (p99([3.0, 1.0, 2.0]), median([3.0, 1.0, 2.0])) == (3.0, 2.0)
    assert (p99([]), median([])) == (0.0, 0.0)


def test_fleet_has_as_many_schematics_as_there_are_mixtures():
    omni = StandInOmni("bench")
    ids = put_fleet(2 * len(EXTENSIONS) * len(KERNEL_ARGUMENTS), omni, "127.0.0.1:1")
    specs = [machine.spec for machine in omni.list(Kind.INFRA_MACHINE)]
    mixtures = {(tuple(s.extensions), s.extra_kernel_args) for s in specs if s.cluster_talos_version}
    assert len(mixtures) == len(EXTENSIONS) * len(KERNEL_ARGUMENTS)
    assert len({*boot_paths(ids), *boot_paths(strangers(10))}) == len(ids) + 10


class Transport:
    """Takes what is asked."""

    def __init__(self):
        self.asked = []

    def write(self, data):
        self.asked.append(data.split()[1])


def test_own_loader_asks_again_once_the_whole_answer_is_there():
    times_ms = []
    asker, transport = Asker(iter(["/a", "/b", "/c"]), "host", times_ms), Transport()
    asker.begin(transport)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    asker.data_received(answer[:30])
    asker.data_received(answer[30:-1])
    assert (transport.asked, len(times_ms)) == ([b"/a"], 0)
    asker.data_received(answer[-1:])
    assert (transport.asked, len(times_ms), asker.failed) == ([b"/a", b"/b"], 1, 0)
    asker.data_received(answer.replace(b"200", b"503"))
    assert asker.failed == 1
