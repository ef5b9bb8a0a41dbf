"""What becomes of clients that do not take their answer; gunicorn itself is a stand-in here."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers.gthread import ThreadWorker

from app.web.worker import STALL_LIMIT_S, BootWorker


class Sock:
    def __init__(self) -> None:
        self.timeout_s: float | None = None

    def settimeout(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s


@pytest.fixture
def worker() -> BootWorker:
    made = BootWorker.__new__(BootWorker)
    made._guard, made._reading = threading.Lock(), {}
    return made


def handle(worker: BootWorker, monkeypatch: pytest.MonkeyPatch, answer: Any) -> tuple[Any, Sock]:
    def stand_in(_worker: Any, _req: Any, conn: Any) -> bool:
        assert conn.sock.timeout_s == STALL_LIMIT_S
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    monkeypatch.setattr(ThreadWorker, "handle_request", stand_in)
    conn = SimpleNamespace(sock=Sock())
    return worker.handle_request(SimpleNamespace(path="/assets/a\x1b" + "x" * 500), conn), conn.sock


def test_answer_is_sent_with_a_limit_and_connection_kept(worker: BootWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert handle(worker, monkeypatch, answer=True)[0] is True


def test_client_that_takes_nothing_is_closed_and_told_in_the_log(
    worker: BootWorker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handle(worker, monkeypatch, answer=TimeoutError("timed out"))[0] is False
    out = capsys.readouterr().out
    assert "answer_not_taken" in out
    assert "x" * 100 not in out


def test_other_errors_are_left_to_gunicorn(worker: BootWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokenPipeError):
        handle(worker, monkeypatch, answer=BrokenPipeError())
