"""When a child is started again whose process the system refuses to make."""

import pytest
from structlog.testing import capture_logs

from app import child as module
from app.child import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, STARTED_AFTER_S, STARTS_THAT_MAY_FAIL, Child
from app.keeping import FAILED, Supervisor

REFUSED = BlockingIOError(11, "Resource temporarily unavailable")


class Running:
    """A process. status: what it has ended with, if it has."""

    def __init__(self):
        self.pid, self.status = 0x7FFF_FFFF, None  # no process of the system has this one

    def poll(self):
        return self.status

    def wait(self):
        return self.status or 0

    def terminate(self):
        self.status = -15


class Fragile(Child):
    """A child whose process is refused as often as `refusals` says."""

    def __init__(self, refusals=0):
        super().__init__("fragile", (), {})
        self.refusals, self.made = refusals, []

    def _launch(self):
        if self.refusals:
            self.refusals -= 1
            raise REFUSED
        self.made.append(Running())
        return self.made[-1]


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now_s = 1000.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now_s)
    return Clock


def test_refused_start_is_told_and_tried_again_after_a_pause(clock):
    child = Fragile()
    child.look_after()
    clock.now_s += STARTED_AFTER_S + 1
    child.look_after()  # it has run
    child.made[0].status = 1
    child.look_after()
    child.refusals = 2
    clock.now_s += FIRST_BACKOFF_S
    with capture_logs() as logged:
        assert child.look_after() == ""
        assert child.look_after() == ""  # its pause
    assert not child.runs
    assert child.ended() is None
    [line] = logged
    assert (line["event"], line["child"]) == ("process_cannot_start", "fragile")
    assert (line["reason"], line["start_again_in_s"]) == ("Resource temporarily unavailable", 2 * FIRST_BACKOFF_S)
    for _ in range(2):
        clock.now_s += LONGEST_BACKOFF_S
        assert child.look_after() == ""
    assert child.runs


def test_child_that_never_ran_is_given_up_after_some_refusals(clock):
    child = Fragile(refusals=100)
    said = []
    for _ in range(STARTS_THAT_MAY_FAIL):
        said.append(child.look_after())
        clock.now_s += LONGEST_BACKOFF_S
    assert said[:-1] == [""] * (STARTS_THAT_MAY_FAIL - 1)
    assert "Resource temporarily unavailable" in said[-1]


def test_first_start_that_is_refused_is_tried_again(monkeypatch, capsys):
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.0)
    monkeypatch.setattr(module, "LONGEST_BACKOFF_S", 0.0)
    child = Fragile(refusals=STARTS_THAT_MAY_FAIL)
    assert Supervisor([child]).run() == FAILED
    assert "fragile" in capsys.readouterr().err
