"""The listener: one datagram after the other, whatever comes of each."""

import logging
from collections import Counter

import pytest
from structlog.testing import capture_logs

from netboot.tftp import server as module
from netboot.tftp.server import DATAGRAMS_AT_ONCE, TftpServer
from netboot.tftp.sockets import Client
from netboot.tftp.verdict import Ignore, Mode, Reason, Send

FILES = {"a": b"aaa"}
CLIENT = Client(("10.0.0.1", 7), "10.0.0.254")
READ, ACK = b"\0\1a\0octet\0", b"\0\4\0\1"


class FakeTransfers:
    """Notes what it is told. `knows`: whether there is a transfer of each client."""

    def __init__(self):
        self.asked, self.handed_on, self.knows = [], [], False
        self.counted = Counter()

    def ask(self, order, client):
        self.asked.append((order, client))

    def hand_on(self, packet, client):
        self.handed_on.append((packet, client))
        return self.knows


class Site:
    """A server whose listener has these datagrams, or errors; `sent` is what it answers."""

    def __init__(self, monkeypatch, *datagrams, **how):
        self.datagrams, self.sent = list(datagrams), []
        monkeypatch.setattr(module, "receive", self._receive)
        monkeypatch.setattr(module, "send", self.send)
        self.server = TftpServer(None, FILES, **{"single_port": False, "dry_run": False} | how)
        self.transfers = self.server._transfers = FakeTransfers()
        with capture_logs() as self.logged:
            self.server._receive()

    @property
    def events(self):
        return [line["event"] for line in self.logged]

    def send(self, _listener, packet, client):
        self.sent.append((packet, client))

    def _receive(self, _listener):
        if not self.datagrams:
            return None
        datagram = self.datagrams.pop(0)
        if isinstance(datagram, Exception):
            raise datagram
        return datagram, CLIENT


def test_request_is_handed_to_the_transfers(monkeypatch):
    assert Site(monkeypatch, READ).transfers.asked == [(Send("a", Mode.OCTET), CLIENT)]


def test_refusal_is_sent_counted_and_told(monkeypatch):
    site = Site(monkeypatch, b"\0\1\x1b[2J\0octet\0")
    assert site.sent == [(b"\0\5\0\1file not found\0", CLIENT)]
    assert site.transfers.counted == {"refused": 1}
    [line] = site.logged
    assert (line["event"], line["name"], line["reason"]) == ("tftp_refused", "\\x1b[2J", "file not found")


def test_nonsense_is_ignored_and_counted(monkeypatch):
    site = Site(monkeypatch, b"", b"\0")
    assert (site.sent, site.transfers.counted) == ([], {"ignored": 2})


def test_fault_of_the_program_with_one_datagram_does_not_touch_the_next(monkeypatch):
    verdicts = iter([ValueError("of ours"), Send("a", Mode.OCTET)])

    def judge(_datagram, _files):
        verdict = next(verdicts)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    monkeypatch.setattr(module, "judge", judge)
    site = Site(monkeypatch, b"bad", b"good")
    assert site.events == ["tftp_datagram_broke"]
    assert site.transfers.counted == {"broke": 1}
    assert len(site.transfers.asked) == 1


def test_answer_that_cannot_be_sent_is_no_fault_of_the_program(monkeypatch):
    def fail(_site, _listener, _packet, _client):
        raise OSError(22, "Invalid argument")  # such as to port 0, which anybody may write into a packet

    monkeypatch.setattr(Site, "send", fail)
    site = Site(monkeypatch, b"\0\2x\0octet\0", READ)
    assert site.events == ["tftp_refused", "tftp_cannot_send"]
    assert len(site.transfers.asked) == 1


def test_port_that_fails_is_told_and_tried_again_later(monkeypatch):
    site = Site(monkeypatch, OSError(100, "Network is down"), READ)
    assert site.events == ["tftp_cannot_receive"]
    assert site.datagrams == [READ]


def test_flood_does_not_keep_children_waiting(monkeypatch):
    site = Site(monkeypatch, *[READ] * (DATAGRAMS_AT_ONCE + 1))
    assert len(site.datagrams) == 1


def test_flood_of_faults_does_not_fill_the_log(monkeypatch):
    monkeypatch.setattr(module, "DATAGRAMS_AT_ONCE", 5000)
    monkeypatch.setattr(module, "monotonic", lambda: 5.5)
    monkeypatch.setattr(module, "judge", lambda *_: 1 / 0)
    assert len(Site(monkeypatch, *[READ] * 2000).logged) == 500


def test_flood_of_refusals_does_not_fill_the_log(monkeypatch):
    monkeypatch.setattr(module, "DATAGRAMS_AT_ONCE", 5000)
    monkeypatch.setattr(module, "monotonic", lambda: 5.5)
    site = Site(monkeypatch, *[b"\0\1x\0octet\0"] * 2000)
    assert len(site.logged) == 500
    assert len(site.sent) == 2000


def test_flood_of_nonsense_fills_no_log_and_hides_no_fault(monkeypatch):
    monkeypatch.setattr(module, "DATAGRAMS_AT_ONCE", 5000)
    monkeypatch.setattr(module, "monotonic", lambda: 5.5)

    def judge(datagram, _files):
        return Ignore(Reason.ERROR) if datagram else 1 / 0

    monkeypatch.setattr(module, "judge", judge)
    site = Site(monkeypatch, *[b"\0\5"] * 2000, b"")
    assert site.events == ["tftp_ignored"] * 500 + ["tftp_datagram_broke"]


@pytest.mark.parametrize(("knows", "answered"), [(True, 0), (False, 1)])
def test_packet_within_a_transfer_goes_to_it_where_the_port_is_for_all(monkeypatch, knows, answered):
    monkeypatch.setattr(FakeTransfers, "hand_on", lambda *_: knows)
    assert len(Site(monkeypatch, ACK, single_port=True).sent) == answered


def test_request_is_never_part_of_a_transfer(monkeypatch):
    site = Site(monkeypatch, READ, single_port=True)
    assert site.transfers.handed_on == []
    assert len(site.transfers.asked) == 1


def test_dry_run_answers_nothing(monkeypatch):
    site = Site(monkeypatch, READ, b"\0\2x\0octet\0", b"", ACK, dry_run=True, single_port=True)
    assert (site.sent, site.transfers.asked) == ([], [])
    assert [line["verdict"] for line in site.logged] == [
        "would send 3 bytes",
        "would refuse: this server is read only",
        "would ignore: too short for TFTP",
        "would refuse: no such transfer",
    ]


def test_what_fbtftp_says_of_each_step_is_not_logged():
    record = logging.LogRecord("root", logging.ERROR, "/x/fbtftp/base_handler.py", 1, "timeout", (), None)
    assert not module._is_not_of_fbtftp(record)
    record.pathname = "/x/netboot/tftp/server.py"
    assert module._is_not_of_fbtftp(record)


def test_verdicts_have_words_for_each_kind():
    assert module._words(Ignore(Reason.ERROR), FILES) == {"verdict": "would ignore: an error needs no answer"}
