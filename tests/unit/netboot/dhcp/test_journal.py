"""Lines for packets, as many as a log can bear."""

from netboot.dhcp.journal import LINES_PER_SECOND, Journal
from netboot.dhcp.verdict import Ignored, Reason
from tests.netboot_clients.packets import REQUEST, request
from tests.unit.netboot.dhcp.asking import CLIENT, verdict

OFFER = verdict(request(arch=7))
ACK = verdict(request(REQUEST, arch=7), 4011, CLIENT)
NO_CLIENT = Ignored(Reason.NO_BOOT_CLIENT, "52:54:00:00:00:01", "said")
NEVER = Ignored(Reason.TOO_SHORT)


def names(lines):
    return [line["event"] for line in lines]


def test_answer_is_told_with_who_and_what(clock, lines):
    journal = Journal(dry_run=False, clock=clock)
    journal.answered(OFFER)
    journal.answered(ACK)
    who = {"mac": OFFER.mac, "client": "pxe", "arch": 7, "boot_file": "snp.efi", "log_level": "info"}
    assert lines == [
        {"event": "dhcp_offered", "address": "255.255.255.255", "port": 68, **who},
        {"event": "dhcp_acknowledged", "address": "10.77.0.50", "port": 4011, **who},
    ]


def test_packet_without_answer_is_told_for_debugging(clock, lines):
    Journal(dry_run=False, clock=clock).ignored(NO_CLIENT, "10.0.0.9", 67)
    assert (lines[0]["event"], lines[0]["log_level"]) == ("dhcp_ignored", "debug")
    assert lines[0]["reason"] == "no boot client: without architecture (option 93)"
    assert (lines[0]["mac"], lines[0]["detail"], lines[0]["address"]) == ("52:54:00:00:00:01", "said", "10.0.0.9")


def test_dry_run_tells_each_verdict(clock, lines):
    journal = Journal(dry_run=True, clock=clock)
    journal.answered(OFFER)
    journal.ignored(NEVER, "10.0.0.9", 67)
    assert names(lines) == ["dhcp_dry_run"] * 2
    assert [line["verdict"] for line in lines] == ["would send OFFER", "ignored: too short for DHCP"]
    assert {line["log_level"] for line in lines} == {"info"}


def test_flood_of_answers_is_cut_and_what_is_missing_is_told_in_the_next_second(clock, lines):
    journal = Journal(dry_run=False, clock=clock)
    for _ in range(LINES_PER_SECOND + 7):
        journal.answered(OFFER)
    journal.catch_up()
    assert names(lines) == ["dhcp_offered"] * LINES_PER_SECOND
    clock.now_s += 1
    journal.catch_up()
    journal.catch_up()
    assert lines[LINES_PER_SECOND:] == [
        {"event": "dhcp_lines_left_out", "lines": 7, "most_per_second": LINES_PER_SECOND, "log_level": "warning"}
    ]


def test_flood_of_nonsense_does_not_hide_who_is_answered(clock, lines):
    journal = Journal(dry_run=False, clock=clock)
    for _ in range(LINES_PER_SECOND * 2):
        journal.ignored(NEVER, "10.0.0.9", 67)
    journal.answered(OFFER)
    assert names(lines) == ["dhcp_ignored"] * LINES_PER_SECOND + ["dhcp_offered"]


def test_flood_hides_neither_faults_nor_answers_that_cannot_be_sent(clock, lines):
    journal = Journal(dry_run=False, clock=clock)
    for _ in range(LINES_PER_SECOND * 2):
        journal.ignored(NEVER, "10.0.0.9", 67)
        journal.send_failed(OFFER, OSError(101, "Network is unreachable"))
    journal.broke(ValueError("odd"), "10.0.0.9", 67)
    assert [names(lines).count(name) for name in ("dhcp_send_failed", "dhcp_broke")] == [LINES_PER_SECOND, 1]


def test_flood_of_nonsense_does_not_hide_what_a_dry_run_would_answer(clock, lines):
    journal = Journal(dry_run=True, clock=clock)
    for _ in range(LINES_PER_SECOND * 2):
        journal.ignored(NEVER, "10.0.0.9", 67)
    journal.answered(OFFER)
    assert lines[-1]["verdict"] == "would send OFFER"


def test_what_was_left_out_last_is_told_at_the_end(clock, lines):
    journal = Journal(dry_run=False, clock=clock)
    for _ in range(LINES_PER_SECOND + 7):
        journal.answered(OFFER)
    journal.close()
    assert [line.get("lines") for line in lines[LINES_PER_SECOND:]] == [7, None]
    assert names(lines)[LINES_PER_SECOND:] == ["dhcp_lines_left_out", "dhcp_proxy_stopped"]


def test_counters_are_told_at_the_end(clock, lines):
    journal = Journal(dry_run=False, clock=clock)
    for _ in range(6):
        journal.received()
    journal.answered(OFFER)
    journal.answered(ACK)
    journal.ignored(NEVER, "10.0.0.9", 67)
    journal.ignored(NEVER, "10.0.0.9", 67)
    journal.send_failed(OFFER, OSError(101, "Network is unreachable"))
    journal.broke(ValueError("odd"), "10.0.0.9", 67)
    journal.close()
    assert lines[-1] == {
        "event": "dhcp_proxy_stopped",
        "received": 6,
        "answered": {"offer": 1, "ack": 1},
        "ignored": {"too short for DHCP": 2},
        "failed": 1,
        "broke": 1,
        "log_level": "info",
    }


def test_failures_are_told_with_their_reason(clock, lines):
    journal = Journal(dry_run=False, clock=clock)
    journal.send_failed(OFFER, OSError(101, "Network is unreachable"))
    error = ValueError("odd")
    journal.broke(error, "10.0.0.9", 67)
    assert (lines[0]["event"], lines[0]["reason"]) == ("dhcp_send_failed", "Network is unreachable")
    assert (lines[1]["event"], lines[1]["exc_info"], lines[1]["log_level"]) == ("dhcp_broke", error, "error")
