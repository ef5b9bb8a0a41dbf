"""What becomes of clients that do not take their answer; gunicorn itself is a stand-in here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers.gthread import ThreadWorker

from app.web import worker as worker_module
from app.web.worker import MOST_IN_A_ROW, STALL_LIMIT_S, BootWorker


class Sock:
    def __init__(self) -> None:
        self.timeout_s: float | None = None

    def settimeout(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s


@pytest.fixture
def worker() -> BootWorker:
    made = BootWorker.__new__(BootWorker)
    made._guard, made._reading, made._in_hand = threading.Lock(), {}, 0
    made.cfg = SimpleNamespace(threads=4)
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


class Kept:
    """A kept connection: its socket is a pipe, on which something may stand."""

    def __init__(self, read_end: int) -> None:
        self.sock = self
        self.parser = SimpleNamespace(unreader=SimpleNamespace(buf=BytesIO()))
        self.fileno = lambda: read_end
        self.shut = False

    def shutdown(self, _how: int) -> None:
        self.shut = True


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def turn(worker: BootWorker, monkeypatch: pytest.MonkeyPatch, conn: Kept, *answers: bool) -> tuple[bool, int]:
    """Whether the connection is kept after a turn in a thread, and how many requests were answered in it."""
    left = list(answers)
    monkeypatch.setattr(ThreadWorker, "handle", lambda _worker, _conn: left.pop(0))
    monkeypatch.setattr(ThreadWorker, "enqueue_req", lambda _worker, _conn: None)
    worker.alive = True
    worker.enqueue_req(conn)
    return worker.handle(conn), len(answers) - len(left)


def test_requests_that_follow_at_once_are_answered_in_one_turn_until_others_get_theirs(
    worker: BootWorker, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    os.write(pipe[1], b"GET")
    assert turn(worker, monkeypatch, Kept(pipe[0]), *[True] * 100) == (True, MOST_IN_A_ROW)


def test_client_that_asks_no_more_goes_back_to_the_main_loop(
    worker: BootWorker, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    conn = Kept(pipe[0])
    assert turn(worker, monkeypatch, conn, True, True) == (True, 1)
    assert not conn.shut


@pytest.mark.parametrize(("others", "waits"), [(2, True), (3, False), (50, False)])
def test_client_that_asks_no_more_is_not_waited_for_while_no_other_thread_is_free(
    worker: BootWorker, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int], others: int, waits: bool
) -> None:
    monkeypatch.setattr(worker_module, "ASKS_ON_MS", 300)
    monkeypatch.setattr(ThreadWorker, "enqueue_req", lambda _worker, _conn: None)
    for _ in range(others):  # queued, or in a thread
        worker.enqueue_req(Kept(pipe[0]))
    began = time.monotonic()
    assert turn(worker, monkeypatch, Kept(pipe[0]), True, True) == (True, 1)
    assert (time.monotonic() - began >= 0.25) is waits


def test_thread_is_free_again_after_a_turn_that_broke(
    worker: BootWorker, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    monkeypatch.setattr(worker_module, "ASKS_ON_MS", 300)
    for _ in range(10):
        with pytest.raises(IndexError):
            turn(worker, monkeypatch, Kept(pipe[0]))
    began = time.monotonic()
    assert turn(worker, monkeypatch, Kept(pipe[0]), True) == (True, 1)
    assert time.monotonic() - began >= 0.25


def test_request_that_came_with_the_one_before_is_answered(
    worker: BootWorker, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    conn = Kept(pipe[0])
    conn.parser.unreader.buf = BytesIO(b"GET")
    assert turn(worker, monkeypatch, conn, True, False) == (False, 2)
    assert conn.shut


def test_connection_that_is_not_kept_is_not_waited_for(
    worker: BootWorker, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    os.write(pipe[1], b"GET")
    assert turn(worker, monkeypatch, Kept(pipe[0]), False, True) == (False, 1)


def test_other_errors_are_left_to_gunicorn(worker: BootWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokenPipeError):
        handle(worker, monkeypatch, answer=BrokenPipeError())
