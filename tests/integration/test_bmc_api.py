"""The api BMC's client against servers that behave badly: how long it waits, and what it says of a command."""

import contextlib
import socket
import threading
import time

import pytest

from app.machine.model import PowerState
from workers.bmc import api, exchange
from workers.bmc.api import ApiBmc
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcRefused, BmcUnreachable

pytestmark = pytest.mark.integration

LIMIT_S = 0.6
ON = b'{"PoweredOn": true}'


class BadServer:
    """Accepts, reads a request, and lets `talk` answer it; counts the requests."""

    def __init__(self, talk):
        self._talk, self.requests = talk, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while True:
            with self._listener.accept()[0] as line:
                if self._ended.is_set():
                    return
                with contextlib.suppress(OSError):
                    self.requests.append(line.recv(65536))
                    self._talk(line, self._ended)

    def close(self):
        self._ended.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setattr(exchange, "TIMEOUT_S", LIMIT_S)
    monkeypatch.setattr(api, "REFUSED_PAUSE_S", 0.0)
    servers = []

    def start(talk):
        servers.append(BadServer(talk if callable(talk) else lambda line, _: line.sendall(talk)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def drip(start, forever=b"x"):
    def talk(line, ended):
        line.sendall(start)
        while not ended.wait(0.05):
            line.sendall(forever)

    return talk


def http(body, status="200 OK", headers=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def failure(ask):
    """What was raised, and after how long."""
    begun_s = time.monotonic()
    with pytest.raises((BmcUnreachable, BmcRefused, BmcAuthenticationFailed, BmcBusy)) as caught:
        ask()
    return caught.value, time.monotonic() - begun_s


def test_healthy_bmc_is_read_and_commanded_in_one_session(serve):
    server = serve(http(ON))
    bmc = ApiBmc(server.address)
    assert bmc.power_state() is PowerState.ON
    bmc.power_on()
    assert bmc.power_state() is PowerState.ON
    bmc.close()
    assert [request.split()[1] for request in server.requests] == [b"/status", b"/poweron", b"/status"]


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"],
    ids=["status line", "headers", "body without an end", "body"],
)
def test_status_that_drips_ends_in_time(serve, start):
    error, took_s = failure(ApiBmc(serve(drip(start)).address).power_state)
    assert type(error) is BmcUnreachable
    assert LIMIT_S * 0.9 < took_s < LIMIT_S + 1


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: "], ids=["status line", "headers"])
def test_command_whose_answer_drips_may_have_been_carried_out(serve, start):
    error, took_s = failure(ApiBmc(serve(drip(start)).address).power_on)
    assert type(error) is BmcUnreachable
    assert error.executed is None
    assert took_s < LIMIT_S + 1


def test_command_that_was_taken_does_not_wait_for_the_rest_of_the_answer(serve):
    begun_s = time.monotonic()
    ApiBmc(serve(drip(b"HTTP/1.1 200 OK\r\n\r\n")).address).power_on()
    assert time.monotonic() - begun_s < LIMIT_S


def test_error_whose_text_drips_is_named_by_its_status(serve):
    error, took_s = failure(ApiBmc(serve(drip(b"HTTP/1.1 401 No\r\n\r\n")).address).power_state)
    assert type(error) is BmcAuthenticationFailed
    assert took_s < 3 * LIMIT_S + 1


def test_server_that_says_nothing_is_unreachable(serve):
    error, took_s = failure(ApiBmc(serve(lambda _, ended: ended.wait(10)).address).power_on)
    assert type(error) is BmcUnreachable
    assert error.executed is None
    assert took_s < LIMIT_S + 1


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00\xff" * 1000, b"HTTP/1.1 abc\r\n\r\n"])
def test_garbage_is_refused_and_nobody_knows_what_became_of_the_command(serve, answer):
    server = serve(answer)
    error, _ = failure(ApiBmc(server.address).power_on)
    assert type(error) is BmcRefused
    assert error.executed is None
    assert server.address in str(error)
    assert len(str(error)) < 300


def test_connection_that_ends_without_an_answer_is_unreachable(serve):
    server = serve(b"")
    error, _ = failure(ApiBmc(server.address).power_on)
    assert type(error) is BmcUnreachable
    assert error.executed is None
    assert len(server.requests) == 1  # never sent twice


@pytest.mark.parametrize(
    ("status", "kind"), [("401 No", BmcAuthenticationFailed), ("503 Busy", BmcBusy), ("418 Teapot", BmcRefused)]
)
def test_error_status_says_that_the_command_was_not_carried_out(serve, status, kind):
    error, _ = failure(ApiBmc(serve(http(b"sorry", status)).address).power_on)
    assert type(error) is kind
    assert error.executed is False
    assert "sorry" in str(error)


def test_redirect_is_refused_and_not_followed(serve):
    target = serve(http(ON))
    server = serve(http(b"", "307 Elsewhere", f"Location: http://{target.address}/poweron\r\n"))
    error, _ = failure(ApiBmc(server.address).power_on)
    assert type(error) is BmcRefused
    assert target.requests == []


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 10_000])
def test_deeply_nested_json_is_refused(serve, body):
    error, _ = failure(ApiBmc(serve(http(body)).address).power_state)
    assert type(error) is BmcRefused


def test_body_that_never_ends_is_refused_soon(serve):
    error, took_s = failure(ApiBmc(serve(drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)).address).power_state)
    assert type(error) is BmcRefused
    assert took_s < LIMIT_S + 0.5


def test_refused_connection_is_unreachable_and_the_command_was_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    error, _ = failure(ApiBmc(address).power_on)
    assert type(error) is BmcUnreachable
    assert error.executed is False
    assert address in str(error)
