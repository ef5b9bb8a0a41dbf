"""What the bench of the wire to Omni says of what it measured, and when its exit status is 1."""

import pytest

from lab.bench import omni
from lab.bench.omni import Finding, judge_memory, judge_times, measure


@pytest.mark.parametrize(("slow", "holds"), [(0, True), (10, True), (11, False)])
def test_of_a_thousand_changes_ten_may_be_slow(slow, holds):
    finding = judge_times(1000, [30.0] * (1000 - slow) + [150.0] * slow)
    assert finding.holds is holds
    assert "median 30 ms" in finding.words
    assert ("longest 150 ms" in finding.words) is (slow > 0)


def test_memory_is_judged_by_the_most_that_was_seen():
    assert judge_memory(5000, 80.0, 99.0).holds
    assert not judge_memory(5000, 80.0, 100.0).holds


def test_signed_calls_are_judged_by_the_slower_way(monkeypatch):
    monkeypatch.setattr(omni, "best_second", lambda certificate: 900 if certificate is None else 399)
    assert not omni.signed_calls().holds


def test_one_bound_that_does_not_hold_is_said_and_the_rest_is_measured(capsys):
    good, bad = Finding("calls", "at least 400", holds=True), Finding("memory", "under 100 MB", holds=False)
    assert measure(lambda: good, lambda: bad, lambda: good) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "NOT", "ok"]
    assert "memory (under 100 MB)" in lines[1]
    assert measure(lambda: good) == 0


def test_what_could_not_be_measured_counts_as_not_held(capsys):
    def late():
        raise TimeoutError("no report on a machine")

    assert measure(late) == 1
    assert "NOT OK  nothing was measured: no report on a machine" in capsys.readouterr().out
