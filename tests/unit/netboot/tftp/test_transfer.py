"""The conversation of one transfer, with a client that says what the test says."""

import struct

import pytest
from structlog.testing import capture_logs

from netboot.tftp import transfer
from netboot.tftp.outcome import Outcome
from netboot.tftp.sockets import Client
from netboot.tftp.transfer import FIRST_ANSWER_S, SILENCE_LIMIT_S, Transfer
from netboot.tftp.verdict import Mode, Send

CLIENT = Client(("10.0.0.1", 2070), "10.0.0.254")
CONTENT = bytes(range(256)) * 6  # three blocks of 512, and an empty one that ends it


def ack(number):
    return struct.pack("!HH", 4, number)


def data(number, content):
    return struct.pack("!HH", 3, number) + content


class FakePort:
    """Gives the packets of the client one after the other; None is a timeout, an error is raised."""

    def __init__(self, *packets):
        self.packets = list(packets)
        self.sent = []
        self.now_s = 100.0
        self.began_s = self.now_s
        self.closed = False
        self.told = 0

    def open(self):
        return self

    def tell(self):
        self.told += 1

    def receive(self):
        packet = self.packets.pop(0) if self.packets else None
        if isinstance(packet, Exception):
            raise packet
        if packet is None:
            self.now_s += 1.001
        return packet

    def sendto(self, packet, peer):
        assert peer == CLIENT.peer
        self.sent.append(packet)

    def close(self):
        self.closed = True


@pytest.fixture
def outcome_of(monkeypatch):
    def run(port, options=(), mode=Mode.OCTET, content=CONTENT):
        monkeypatch.setattr(transfer, "monotonic", lambda: port.now_s)
        return Transfer(Send("a", mode, options), content, CLIENT, port.open, port.tell).send()

    return run


def test_file_is_sent_block_by_block(outcome_of):
    port = FakePort(ack(1), ack(2), ack(3), ack(4))
    assert outcome_of(port) == Outcome.SENT
    blocks = [CONTENT[n : n + 512] for n in range(0, 2048, 512)]
    assert port.sent == [data(number, block) for number, block in enumerate(blocks, 1)]
    assert port.closed


def test_options_are_acknowledged_with_the_size_of_the_file(outcome_of):
    port = FakePort(ack(0), ack(1), ack(2))
    assert outcome_of(port, (("tsize", "0"), ("blksize", "1468"), ("timeout", "3"))) == Outcome.SENT
    assert port.sent[0] == b"\0\6tsize\0001536\0blksize\0001468\0timeout\0003\0"
    assert port.sent[1:] == [data(1, CONTENT[:1468]), data(2, CONTENT[1468:])]


def test_empty_file_is_one_empty_block(outcome_of):
    port = FakePort(ack(1))
    assert outcome_of(port, content=b"") == Outcome.SENT
    assert port.sent == [data(1, b"")]


def test_netascii_has_line_ends_of_two_bytes(outcome_of):
    port = FakePort(ack(1))
    assert outcome_of(port, mode=Mode.NETASCII, content=b"a\nb\r") == Outcome.SENT
    assert port.sent == [data(1, b"a\r\nb\r\0")]


def test_block_numbers_begin_anew_after_65535(outcome_of):
    content = b"x" * (8 * 65537)
    port = FakePort(ack(0), *(ack((number + 1) % 65536) for number in range(65538)))
    assert outcome_of(port, (("blksize", "8"),), content=content) == Outcome.SENT
    assert port.sent[-1] == data(2, b"")


def test_only_the_ack_of_the_last_block_counts(outcome_of):
    port = FakePort(ack(0), ack(2), ack(1), ack(1), ack(0), ack(2), ack(1), ack(3), ack(4))
    assert outcome_of(port) == Outcome.SENT
    assert len(port.sent) == 4


@pytest.mark.parametrize("short", [b"", b"\0", b"\0\4", b"\0\4\0"])
def test_short_packet_is_ignored(outcome_of, short):
    assert outcome_of(FakePort(short, ack(1), short, ack(2), ack(3), ack(4))) == Outcome.SENT


@pytest.mark.parametrize("options", [(), (("timeout", "5"),)])
def test_first_packet_is_repeated_each_second_and_silence_ends_it_soon(outcome_of, options):
    port = FakePort()
    assert outcome_of(port, options) == Outcome.SILENT
    assert port.sent == [port.sent[0]] * 3
    assert FIRST_ANSWER_S < port.now_s - port.began_s < FIRST_ANSWER_S + 1
    assert not port.told


@pytest.mark.parametrize(("options", "repetitions"), [((), 11), ((("timeout", "5"),), 2)])
def test_client_that_falls_silent_is_given_up_whatever_its_timeout(outcome_of, options, repetitions):
    port = FakePort(ack(0), ack(1)) if options else FakePort(ack(1))
    assert outcome_of(port, options) == Outcome.SILENT
    assert port.sent.count(data(2, CONTENT[512:1024])) == 1 + repetitions
    assert SILENCE_LIMIT_S < port.now_s - port.began_s < SILENCE_LIMIT_S + 1.1


def test_old_acks_do_not_keep_a_transfer(outcome_of):
    port = FakePort(ack(1), *[ack(1), None] * 100)
    assert outcome_of(port) == Outcome.SILENT
    assert port.now_s - port.began_s < SILENCE_LIMIT_S + 1.1


def test_first_answer_of_the_client_is_told_once(outcome_of):
    port = FakePort(ack(7), ack(0), ack(1), ack(2))
    assert outcome_of(port, (("blksize", "1468"),)) == Outcome.SENT
    assert port.told == 1


def test_old_ack_after_a_timeout_repeats_nothing(outcome_of):
    port = FakePort(ack(1), None, ack(1), ack(1), ack(1), ack(2), ack(3), ack(4))
    assert outcome_of(port) == Outcome.SENT
    assert [packet[3] for packet in port.sent] == [1, 2, 2, 3, 4]


def test_patience_begins_anew_with_each_ack(outcome_of):
    pause = [None] * int(SILENCE_LIMIT_S - 1)
    port = FakePort(None, None, ack(1), *pause, ack(2), *pause, ack(3), *pause, ack(4))
    assert outcome_of(port) == Outcome.SENT


def test_last_block_without_ack_is_told_apart(outcome_of):
    assert outcome_of(FakePort(ack(1), ack(2), ack(3))) == Outcome.LAST_ACK_MISSED
    assert outcome_of(FakePort(ack(1), ack(2), ack(3), ConnectionRefusedError())) == Outcome.LAST_ACK_MISSED
    assert outcome_of(FakePort(), content=b"one block, and nobody ever answered") == Outcome.SILENT


def test_error_after_the_options_is_a_question_for_the_size(outcome_of):
    port = FakePort(b"\0\5\0\10User aborted the transfer\0")
    assert outcome_of(port, (("tsize", "0"), ("blksize", "1468"))) == Outcome.PROBED
    assert len(port.sent) == 1


def test_error_within_the_file_ends_it_unanswered(outcome_of):
    port = FakePort(ack(1), b"\0\5\0\3disk full\0")
    assert outcome_of(port) == Outcome.ENDED_BY_CLIENT
    assert len(port.sent) == 2


@pytest.mark.parametrize("packet", [b"\0\1a\0octet\0", b"\0\3\0\1x", b"\xff\xff\xff\xff"])
def test_other_packet_is_illegal_and_ends_it(outcome_of, packet):
    port = FakePort(packet)
    assert outcome_of(port) == Outcome.BAD_PACKET
    assert port.sent[-1][:4] == b"\0\5\0\4"


def test_closed_port_of_the_client_ends_it_at_once(outcome_of):
    assert outcome_of(FakePort(ack(1), ConnectionRefusedError())) == Outcome.CLIENT_GONE


def test_network_that_does_not_send_ends_it(outcome_of):
    assert outcome_of(FakePort(OSError(101, "Network is unreachable"))) == Outcome.NO_NETWORK


def test_fault_of_the_program_is_logged_and_told_to_the_parent(outcome_of):
    with capture_logs() as logged:
        assert outcome_of(FakePort(ValueError("of ours"))) == Outcome.BROKE
    assert [line["event"] for line in logged] == ["tftp_transfer_broke"]
