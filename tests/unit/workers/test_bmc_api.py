"""The api BMC's client where no socket is needed: addresses that are none, and answers as bytes."""

from collections.abc import Callable

import pytest

from app.machine.model import PowerState
from workers.bmc import api, exchange
from workers.bmc.api import ApiBmc
from workers.bmc.errors import BmcAuthenticationFailed, BmcBusy, BmcInUse, BmcRefused, BmcUnreachable

ADDRESS = "192.0.2.1:5000"


class Line:
    """A connection on which the answer is there already, cut into pieces as TCP may cut it."""

    def __init__(self, answer: bytes, piece: int) -> None:
        self.sent, self.closed = b"", False
        self._answer, self._piece = answer, piece

    def again(self, answer: bytes) -> "Line":
        self._answer = answer
        return self

    def settimeout(self, timeout_s: float) -> None:
        assert 0 < timeout_s <= 5

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv_into(self, buffer: memoryview) -> int:
        piece = self._answer[: min(self._piece, len(buffer))]
        self._answer = self._answer[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self.closed = True


Connect = Callable[..., Line]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Connect:
    def give(answer: bytes, piece: int = 4096) -> Line:
        line = Line(answer, piece)
        monkeypatch.setattr("workers.bmc.exchange.open_line", lambda *_: line.again(answer))
        return line

    return give


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "REFUSED_PAUSE_S", 0.0)


@pytest.mark.parametrize(("text", "state"), [(b"true", PowerState.ON), (b"false", PowerState.OFF)])
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_power_is_read_however_the_answer_is_cut(answers: Connect, text: bytes, state: PowerState, piece: int) -> None:
    line = answers(http(b'{"PoweredOn": %s}' % text), piece)
    assert ApiBmc(ADDRESS).power_state() is state
    assert line.sent.startswith(b"GET /status HTTP/1.1\r\nHost: 192.0.2.1:5000\r\n")
    assert line.closed


def test_chunked_answer_is_read(answers: Connect) -> None:
    answers(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"P\r\n10\r\noweredOn": true}\r\n0\r\n\r\n')
    assert ApiBmc(ADDRESS).power_state() is PowerState.ON


@pytest.mark.parametrize(
    ("verb", "path"),
    [("power_on", "/poweron"), ("power_off", "/poweroff"), ("reboot", "/reboot")],
)
def test_command_is_one_post_without_a_body(answers: Connect, verb: str, path: str) -> None:
    line = answers(http(b""))
    getattr(ApiBmc(ADDRESS), verb)()
    assert line.sent.startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert line.sent.endswith(b"Content-Length: 0\r\nConnection: close\r\n\r\n")


def test_arming_pxe_is_one_post(answers: Connect) -> None:
    line = answers(http(b""))
    ApiBmc(ADDRESS).arm_pxe("uefi")
    assert line.sent.startswith(b"POST /pxeboot HTTP/1.1\r\n")


@pytest.mark.parametrize("refusals", [0, 1, 2])
@pytest.mark.parametrize("verb", ["power_on", "power_off", "reboot", "arm_pxe"])
def test_nothing_is_sent_where_the_bmc_is_somebody_elses_by_then(answers: Connect, verb: str, refusals: int) -> None:
    line, looks = answers(http(b"", "401 No")), []

    def still_ours() -> None:
        looks.append(len(line.sent))
        if len(looks) > refusals:
            raise BmcInUse("somebody else uses it by now", executed=False)

    bmc = ApiBmc(ADDRESS, still_ours)
    with pytest.raises(BmcInUse):
        bmc.arm_pxe("uefi") if verb == "arm_pxe" else getattr(bmc, verb)()
    assert line.sent.count(b"POST ") == refusals
    assert looks == sorted(set(looks))  # one look before each request


def test_status_does_not_ask_whether_the_bmc_is_ours(answers: Connect) -> None:
    def never() -> None:
        raise AssertionError

    answers(http(b'{"PoweredOn": true}'))
    assert ApiBmc(ADDRESS, never).power_state() is PowerState.ON


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"PoweredOn"',
        b"{}",
        b'{"PoweredOn": 1}',
        b'{"PoweredOn": "true"}',
        b'{"PoweredOn": tr',
        b"\xff\xfe\x00",
        b"[" * 60_000,
        b'{"PoweredOn":' * 4_000,
        b'{"PoweredOn": ' + b"9" * 60_000 + b"}",
    ],
)
def test_status_without_a_power_state_is_refused(answers: Connect, body: bytes) -> None:
    answers(http(body))
    with pytest.raises(BmcRefused, match="answered /status with something else than PoweredOn"):
        ApiBmc(ADDRESS).power_state()


def test_status_that_is_too_long_is_refused(answers: Connect) -> None:
    answers(http(b" " * exchange.MOST_BYTES + b'{"PoweredOn": true}'))
    with pytest.raises(BmcRefused, match="more than 64 KiB"):
        ApiBmc(ADDRESS).power_state()


@pytest.mark.parametrize("refused", [1, 2])
def test_command_that_is_refused_like_a_wrong_login_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    lines = [Line(http(b"", "401 Unauthorized"), 4096) for _ in range(refused)] + [Line(http(b""), 4096)]
    waiting = iter(lines)
    monkeypatch.setattr("workers.bmc.exchange.open_line", lambda *_: next(waiting))
    ApiBmc(ADDRESS).power_on()
    assert [line.sent[:13] for line in lines] == [b"POST /poweron"] * (refused + 1)


def test_third_refusal_in_a_row_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[Line] = []
    monkeypatch.setattr(
        "workers.bmc.exchange.open_line", lambda *_: lines.append(Line(http(b"", "401 No"), 4096)) or lines[-1]
    )
    with pytest.raises(BmcAuthenticationFailed):
        ApiBmc(ADDRESS).power_on()
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("401 Unauthorized", BmcAuthenticationFailed),
        ("403 Forbidden", BmcAuthenticationFailed),
        ("503 Service Unavailable", BmcBusy),
        ("500 Internal Server Error", BmcRefused),
        ("204 No Content", BmcRefused),
        ("302 Found", BmcRefused),
    ],
)
def test_error_is_named_by_its_status_and_quotes_little_of_the_answer(
    answers: Connect, status: str, error: type[Exception]
) -> None:
    answers(http(b"no\x1b[31m way" + b"y" * 100_000, status, "Location: http://192.0.2.66/poweron\r\n"))
    with pytest.raises(error) as caught:
        ApiBmc(ADDRESS).power_on()
    assert type(caught.value) is error
    surely_not = False if status[0] == "4" or error is BmcBusy else None
    assert getattr(caught.value, "executed") is surely_not  # noqa: B009  # raises() knows only Exception
    words = str(caught.value)
    assert words.startswith(f"the BMC at {ADDRESS} answered /poweron with {status[:3]}")
    assert "\x1b" not in words
    assert len(words) < 300


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bad host:80",
        "[::1",
        "host:99999",
        "a:b:c",
        "http://192.0.2.1:80",
        "192.0.2.1:80/x",
        "192.0.2.1:80?x",
        "x\r\nEvil: 1:80",
        ":80",
        "a" * 70 + ".example:80",
        "a..example:80",
    ],
)
def test_address_that_is_none_is_named_and_nothing_is_sent(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(place: tuple[str, int], *_: object) -> None:
        place[0].encode("idna")  # as the system's resolver does
        pytest.fail("connected")

    monkeypatch.setattr("workers.bmc.exchange.open_line", connect)
    with pytest.raises(BmcUnreachable) as caught:
        ApiBmc(address).power_on()
    assert caught.value.executed is False
    assert repr(address)[:40] in str(caught.value)


def test_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(BmcUnreachable) as caught:
        ApiBmc("root:hunter2@192.0.2.1:80").power_state()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "place"),
    [("192.0.2.1", ("192.0.2.1", 80)), ("[2001:db8::1]:5000", ("2001:db8::1", 5000)), ("bmc-1:81", ("bmc-1", 81))],
)
def test_address_is_dialled_as_host_and_port(
    address: str, place: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[tuple[str, int]] = []

    def connect(place: tuple[str, int], *_: float) -> Line:
        dialled.append(place)
        return Line(http(b""), 4096)

    monkeypatch.setattr("workers.bmc.exchange.open_line", connect)
    ApiBmc(address).power_on()
    assert dialled == [place]
