"""Whatever packets come while IPMI logs in, it ends in time, and in an error of its own or a session."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workers.bmc.ipmi import login
from workers.bmc.ipmi.login import Login, LoginRefused, NoAnswer, OldProtocol

HEAD = b"\x06\x00\xff\x07"
# What opens the way into the handshake: the answer to the first question, and to an open session request.
CAPABILITIES = HEAD + bytes.fromhex("0000000000000000001081" + "1c6320003800018004020000000021")
LIMIT_S = 0.2

BYTES = st.binary(max_size=80)
SENSELESS = BYTES | BYTES.map(lambda rest: HEAD + rest)
PLAIN = BYTES.map(lambda rest: HEAD + bytes(9) + bytes([len(rest)]) + rest)
FRAMES = st.builds(
    lambda kind, rest: HEAD + bytes([6, kind]) + rest,
    st.sampled_from([0x00, 0x01, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x40, 0xC0, 0xC1]),
    BYTES,
)
# They fit the handshake: tag, status and our session's number are what is waited for.
STATUSES = st.sampled_from([0, 0, 0, 1, 2, 9, 0x0D, 0x0F, 0x12, 0x77])
FITTING = st.tuples(st.sampled_from([0x11, 0x13, 0x15]), STATUSES, BYTES | st.binary(min_size=64, max_size=80))
OPENED = st.binary(min_size=16, max_size=40).map(lambda rest: [(0x11, 0, rest)])


class Line:
    """Plays the packets, each time that something is waited for; then there is silence."""

    def __init__(self, packets):
        self._packets, self.sent, self.session = list(packets), 0, b""

    def send(self, packet):
        self.sent += 1
        if packet[4:6] == b"\x06\x10":
            self.session = bytes(packet[20:24])
            self.tag = packet[16]
        elif packet[4] == 6:
            self.tag = packet[16]

    def settimeout(self, seconds):
        assert 0 < seconds <= login.LOGIN_S

    def recv(self, _):
        if not self._packets:
            raise TimeoutError
        packet = self._packets.pop(0)
        if isinstance(packet, tuple):
            kind, status, rest = packet
            packet = HEAD + bytes([6, kind]) + bytes(10) + bytes([self.tag, status, 0, 0]) + self.session + rest
        return packet


@pytest.fixture(autouse=True, scope="module")
def hurried():
    with pytest.MonkeyPatch.context() as patched:
        for name in ("LEAST_PATIENCE_S", "MOST_PATIENCE_S"):
            patched.setattr(login, name, LIMIT_S / 10)
        patched.setattr(login, "LOGIN_S", LIMIT_S)
        yield


@settings(deadline=None, max_examples=300)
@given(
    st.lists(SENSELESS | PLAIN | FRAMES, max_size=6),
    OPENED | st.just([]),
    st.lists(SENSELESS | FRAMES | FITTING, max_size=8),
)
@example([HEAD + b"\x00\x01" + bytes(8)], [], [])  # the number of a packet that is of no session
def test_login_ends_in_time_whatever_comes(before, opened, after):
    line = Line([*before, CAPABILITIES, *opened, *after])
    began_s = time.monotonic()
    with pytest.raises((NoAnswer, LoginRefused, OldProtocol)):
        Login(line, b"admin", b"secret", first_answer_s=LIMIT_S)
    assert time.monotonic() - began_s < 10 * LIMIT_S
    assert line.sent <= 3 + 3 * login.BEGINNINGS * 2 + 20
