"""Watcher, gateway, web and beat by their signs."""

import os
import time
from types import SimpleNamespace

import fakeredis
import pytest

from app.doctor import processes
from app.doctor.finding import Report, Verdict
from app.doctor.http_probe import Answer
from app.state.health import Health
from config.settings import Settings

WELL = Health(omni_connected=True, watcher_alive=True, mirror_complete=True, gateways=1, problem="")
READY = Answer(200, {"status": "ready", "checks": {"redis": {"ok": True, "required": True, "words": "answers"}}})
AWAY = Answer(error="nothing listens there", refused=True)


def health(**changes):
    fields = ("omni_connected", "watcher_alive", "mirror_complete", "gateways", "problem")
    return Health(**{name: getattr(WELL, name) for name in fields} | changes)


def test_watcher_that_follows_omni_is_well():
    [finding] = processes.watcher_findings(WELL)
    assert finding.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("changes", "verdict", "words", "remedy"),
    [
        ({"watcher_alive": False}, Verdict.FAILED, "none is alive", "omni-metal watcher"),
        ({"problem": "not registered", "remedy": "Register it."}, Verdict.FAILED, "not registered", "Register it."),
        ({"omni_connected": False}, Verdict.FAILED, "it is not connected", "what is said of Omni"),
        ({"tls_problem": "the CA is torn; mend it"}, Verdict.FAILED, "TLS towards agents: the CA is torn", "mend it"),
        ({"watch_lag_s": 30.0}, Verdict.WARNING, "30 s late", "overloaded"),
        ({"mirror_complete": False}, Verdict.WARNING, "not complete yet", "ask again"),
    ],
)
def test_what_is_wrong_with_the_watcher_is_said(changes, verdict, words, remedy):
    [finding] = processes.watcher_findings(health(**changes))
    assert finding.verdict is verdict
    assert words in finding.words
    assert remedy in finding.remedy


def test_gateway_that_is_missed_is_said():
    assert processes.gateway_finding(2).words == "2 gateways live"
    finding = processes.gateway_finding(0)
    assert finding.verdict is Verdict.FAILED
    assert "agents cannot connect" in finding.words


def test_somebody_who_claims_to_be_a_machine_is_said_with_machine_address_and_time():
    assert processes.refused_findings(None) == []
    [finding] = processes.refused_findings(b"m1 1700000000000 192.0.2.66")
    assert finding.verdict is Verdict.WARNING
    assert "m1" in finding.words
    assert "A second tunnel from 192.0.2.66 was refused at 2023-11-14 22:13:20 UTC" in finding.words
    assert finding.remedy


@pytest.mark.parametrize(
    ("listen", "hosts"),
    [("", ("localhost", "10.0.0.8")), ("::", ("localhost", "10.0.0.8")), ("10.0.0.8", ("10.0.0.8",))],
)
def test_web_is_asked_here_and_where_machines_are_sent(listen, hosts):
    assert processes.web_hosts(Settings(api_listen_address=listen, api_advertise_address="10.0.0.8")) == hosts


@pytest.mark.parametrize(
    ("answers", "verdict", "words"),
    [
        ({"localhost": READY, "10.0.0.8": AWAY}, Verdict.OK, "of localhost"),
        ({"localhost": AWAY, "10.0.0.8": READY}, Verdict.OK, "of 10.0.0.8"),
        ({"localhost": AWAY, "10.0.0.8": AWAY}, Verdict.FAILED, "of localhost (nothing listens there)"),
        ({"localhost": Answer(200, None)}, Verdict.FAILED, "something else answers there"),
        ({"localhost": Answer(200, {"status": "UP"})}, Verdict.FAILED, "something else answers there"),
    ],
)
def test_web_is_judged_by_who_answers(answers, verdict, words):
    finding = processes.web_finding(Settings(), answers)
    assert finding.verdict is verdict
    assert words in finding.words


def test_web_that_is_not_ready_says_why():
    checks = {
        "mirror": {"ok": False, "required": True, "words": "not complete"},
        "omni": {"ok": False, "required": False, "words": "not connected"},
    }
    finding = processes.web_finding(Settings(), {"localhost": Answer(503, {"status": "not ready", "checks": checks})})
    assert finding.verdict is Verdict.FAILED
    assert finding.words.endswith("but no boots: mirror not complete")


def test_newest_sign_of_a_process_counts(tmp_path):
    now_s = time.time()
    for host, age_s in (("old", 4_000), ("new", 3)):
        (tmp_path / f"beat@{host}").touch()
        os.utime(tmp_path / f"beat@{host}", (now_s - age_s, now_s - age_s))
    assert 2 <= processes.newest_sign_s(tmp_path, "beat") <= 60
    assert processes.newest_sign_s(tmp_path, "flower") is None
    assert processes.newest_sign_s(tmp_path / "missing", "beat") is None


@pytest.mark.parametrize(
    ("sign_s", "under_run", "verdicts"),
    [
        (None, True, []),
        (5.0, True, [Verdict.OK]),
        (300.0, True, [Verdict.FAILED]),
        (300.0, False, [Verdict.WARNING]),
    ],
)
def test_beat_is_judged_by_its_sign(sign_s, under_run, verdicts):
    assert [f.verdict for f in processes.beat_findings(sign_s, under_run=under_run)] == verdicts


def test_before_the_first_start_there_is_a_warning_and_no_failure():
    found = processes.look(SimpleNamespace(redis=fakeredis.FakeRedis(), run_process=None))
    assert Report("processes", tuple(found)).verdict is Verdict.WARNING
    assert "omni-metal run" in found[0].remedy
