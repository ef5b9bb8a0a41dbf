"""The transfers that run, with children that do what the test says."""

import pytest
import structlog
from structlog.testing import capture_logs

from netboot.line_budget import BudgetedLog
from netboot.tftp import transfers as module
from netboot.tftp.outcome import Outcome
from netboot.tftp.sockets import Client
from netboot.tftp.transfers import LATE_S, TELL_EVERY_S, TRANSFER_LIMIT_S, Transfers
from netboot.tftp.turns import MOST_AT_ONCE, WAIT_LIMIT_S
from netboot.tftp.verdict import Mode, Send

FILES = {"a": b"aaa", "b": b"b"}
ORDER, OTHER = Send("a", Mode.OCTET), Send("b", Mode.OCTET)


class FakeProcess:
    """A `TransferProcess` in its parent. status: what it ends with."""

    def __init__(self):
        self.news = object()
        self.status = Outcome.SENT
        self.answers = False
        self.done = []

    def start(self, live):
        running, self.open_port = live.args
        self.order = running.waited.order
        self.done.append("start")

    def tell_answered(self):
        raise AssertionError("it is the child that tells")

    def hear(self):
        assert "collect" not in self.done, "its pipe is closed"
        answers, self.answers = self.answers, False
        return answers

    def kill(self):
        self.status = -9
        self.done.append("kill")

    def collect(self):
        self.done.append("collect")
        return self.status

    def close(self):
        self.done.append("close")


class Selector(dict):
    """Who waits for what."""

    def register(self, watched, _events, call):
        self[watched] = call

    def unregister(self, watched):
        del self[watched]


class Site:
    """Transfers, their children in the order in which they began, and the time."""

    def __init__(self, monkeypatch, *, single_port):
        self.now_s = 1000.0
        self.children = []
        self.fails = None
        self.selector = Selector()
        monkeypatch.setattr(module, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(module, "TransferProcess", self._child)
        log = BudgetedLog(structlog.get_logger(), lambda: self.now_s)
        self.transfers = Transfers(None, FILES, self.selector, log, single_port=single_port)

    def _child(self):
        child = FakeProcess()
        if self.fails:
            child.start = self._fail
        self.children.append(child)
        return child

    def _fail(self, _live):
        raise self.fails

    def ask(self, order=ORDER, port=1, address="10.0.0.1"):
        self.transfers.ask(order, Client((address, port), "10.0.0.254"))
        while self.transfers.begin_next():
            pass

    def answered(self, child):
        child.answers = True
        self.selector[child.news]()

    def ended(self, child, outcome=Outcome.SENT):
        child.status = outcome
        self.selector[child.news]()
        while self.transfers.begin_next():
            pass


@pytest.fixture(params=[False, True], ids=["own ports", "single port"])
def site(monkeypatch, request):
    made = Site(monkeypatch, single_port=request.param)
    yield made
    made.transfers.close()


def test_file_that_was_sent_is_told_and_its_child_collected(site):
    site.ask()
    site.now_s += 2
    with capture_logs() as logged:
        site.ended(site.children[0])
    assert logged == [
        {"event": "tftp_sent", "log_level": "info", "name": "a", "address": "10.0.0.1", "seconds": 2.0, "bytes": 3}
    ]
    assert site.children[0].done == ["start", "collect"]
    assert not site.selector


def test_transfer_that_takes_too_long_is_killed(site):
    site.ask()
    site.now_s += TRANSFER_LIMIT_S
    site.transfers.tick(site.now_s)
    assert site.children[0].done == ["start"]
    site.now_s += 1
    with capture_logs() as logged:
        site.transfers.tick(site.now_s)
    assert site.children[0].done == ["start", "kill", "collect"]
    assert [(line["event"], line["reason"]) for line in logged] == [("tftp_unfinished", "not done after 300 s")]
    assert not site.selector


def test_end_that_is_reported_after_the_kill_does_not_touch_the_next(site):
    site.ask()
    reported = site.selector[site.children[0].news]
    site.ask(OTHER)
    reported()
    first, second = site.children
    assert first.done == ["start", "kill", "collect"]
    assert (second.order, second.done) == (OTHER, ["start"])


def test_repeated_request_begins_nothing_also_when_the_file_was_sent(site):
    site.ask()
    site.ask()
    site.ended(site.children[0])
    assert len(site.children) == 1


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.SENT, Outcome.LAST_ACK_MISSED}))
def test_request_that_nothing_came_of_is_served_when_the_first_has_ended(site, outcome):
    site.ask()
    site.ask()
    site.ended(site.children[0], outcome)
    assert len(site.children) == 2


def test_file_that_was_sent_whole_is_not_sent_again_for_a_repetition(site):
    site.ask()
    site.ask()
    site.ended(site.children[0], Outcome.LAST_ACK_MISSED)
    assert len(site.children) == 1


def test_repetition_of_long_ago_is_not_served(site):
    site.ask()
    site.ask()
    site.now_s += WAIT_LIMIT_S + 1
    site.ended(site.children[0], Outcome.SILENT)
    assert len(site.children) == 1


def test_machine_that_was_reset_and_asks_again_gets_the_file_from_the_start(site):
    site.ask()
    site.answered(site.children[0])
    site.now_s += LATE_S + 0.1
    with capture_logs() as logged:
        site.ask()
    first, second = site.children
    assert (first.done, second.done) == (["start", "kill", "collect"], ["start"])
    assert [line["reason"] for line in logged] == ["the client began anew"]


def test_repetition_that_was_on_its_way_does_not_end_what_runs(site):
    site.ask()
    site.now_s += 5 * LATE_S
    site.ask()  # the first packet has not reached it
    site.answered(site.children[0])
    site.now_s += LATE_S
    site.ask()
    assert [child.done for child in site.children] == [["start"]]


def test_question_for_the_size_is_no_news(site):
    site.ask()
    with capture_logs() as logged:
        site.ended(site.children[0], Outcome.PROBED)
    assert [(line["event"], line["log_level"]) for line in logged] == [("tftp_probed", "debug")]


@pytest.mark.parametrize("outcome", [*sorted(set(Outcome) - {Outcome.SENT, Outcome.PROBED}), -11])
def test_other_end_is_told_with_its_reason(site, outcome):
    site.ask()
    with capture_logs() as logged:
        site.ended(site.children[0], outcome)
    assert [line["event"] for line in logged] == ["tftp_unfinished"]
    assert logged[0]["reason"]


def test_system_that_makes_no_process_is_told_and_costs_no_place(site):
    site.fails = BlockingIOError(11, "Resource temporarily unavailable")
    with capture_logs() as logged:
        for number in range(2 * MOST_AT_ONCE):
            site.ask(port=number, address=f"10.0.1.{number}")
    assert {line["event"] for line in logged} == {"tftp_cannot_begin"}
    site.fails = None
    site.ask()
    assert site.children[-1].done == ["start"]
    assert len(site.selector) == 1
    assert all(child.done == ["close"] for child in site.children[:-1])
    assert site.transfers.counted["dropped"] == 2 * MOST_AT_ONCE


def test_fault_of_the_program_is_counted(site):
    site.ask()
    site.ended(site.children[0], Outcome.BROKE)
    assert site.transfers.counted["broke"] == 1


def test_more_than_the_limit_wait_and_begin_as_others_end(site):
    for number in range(MOST_AT_ONCE + 1):
        site.ask(address=f"10.0.1.{number}")
    assert len(site.children) == MOST_AT_ONCE
    site.ended(site.children[0], Outcome.SILENT)
    assert len(site.children) == MOST_AT_ONCE + 1


def test_who_is_dropped_is_told_of_once_a_minute(site, monkeypatch):
    monkeypatch.setattr(site.transfers._turns, "line_up", lambda _asked: False)
    with capture_logs() as logged:
        for _ in range(3):
            site.ask()
            site.transfers.tick(site.now_s)
        assert site.transfers.counted["dropped"] == 3
        site.transfers.tick(site.now_s + TELL_EVERY_S)
    assert [line["dropped"] for line in logged if line["event"] == "tftp_busy"] == [1, 2]


def test_packet_of_a_client_is_handed_on_where_the_port_is_for_all(monkeypatch):
    site = Site(monkeypatch, single_port=True)
    site.ask(port=7)
    assert site.children[0].open_port.args[2].fileno() < 0, "the child's end is still open in the parent"
    assert site.transfers.hand_on(b"x", Client(("10.0.0.1", 7), "10.0.0.254"))
    assert not site.transfers.hand_on(b"x", Client(("10.0.0.1", 8), "10.0.0.254"))
    site.transfers.close()


def test_packet_of_a_client_is_not_handed_on_where_each_has_a_port(monkeypatch):
    site = Site(monkeypatch, single_port=False)
    site.ask(port=7)
    assert not site.transfers.hand_on(b"x", Client(("10.0.0.1", 7), "10.0.0.254"))


def test_close_ends_all(site):
    site.ask(port=1)
    site.ask(port=2)
    site.transfers.close()
    assert [child.done[1:] for child in site.children] == [["kill", "collect"]] * 2
    assert site.transfers.counted["unfinished"] == 2
