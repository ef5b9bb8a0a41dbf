"""Log lines that anybody can cause: few, and none is lost without being counted."""

from __future__ import annotations

import pytest

from app.web.sparing import SAY_EVERY_S, SparingLog


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_event_is_said_at_once_and_then_once_in_a_while_with_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    log = SparingLog(clock)
    for _ in range(50):
        log.warning("knocked", address="10.0.0.7")
    clock.now_s += SAY_EVERY_S
    log.warning("knocked", address="10.0.0.8")
    first, second = capsys.readouterr().out.splitlines()
    assert "10.0.0.7" in first and "times=1" in first
    assert "10.0.0.8" in second and "times=50" in second


def test_another_event_is_said_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    log = SparingLog(Clock())
    log.warning("knocked")
    log.warning("rang")
    assert len(capsys.readouterr().out.splitlines()) == 2
