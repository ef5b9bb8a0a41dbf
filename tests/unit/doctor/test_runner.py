"""Checks done side by side, each after those it needs, none longer than its limit."""

import threading
import time

import pytest

from app.doctor.finding import Verdict, failed, ok, skipped, warning
from app.doctor.runner import Check, run_checks
from app.doctor.site import Site
from config.settings import Settings, Wrong


@pytest.fixture
def release():
    event = threading.Event()
    yield event
    event.set()


def site(*wrong):
    return Site(Settings(), tuple(Wrong(option, f"--{option} is bad") for option in wrong))


def says(finding):
    return lambda _site: [finding]


def done(checks, where=None, limit_s=5.0):
    return {report.check: report for report in run_checks(checks, where or site(), limit_s)}


def test_reports_come_in_the_order_of_the_checks():
    slow = Check("slow", lambda _: time.sleep(0.1) or [ok("at last")], 2.0)
    assert list(done([slow, Check("quick", says(ok("at once")), 2.0)])) == ["slow", "quick"]


@pytest.mark.parametrize(
    ("finding", "why"), [(failed("x", "y"), "because one failed"), (skipped("x"), "because one was skipped")]
)
def test_check_is_skipped_where_one_that_it_needs_has_nothing_to_show(finding, why):
    found = done([Check("one", says(finding), 2.0), Check("two", says(ok("")), 2.0, needs=("one",))])
    assert found["two"].findings == (skipped(why),)


def test_check_is_done_where_one_that_it_needs_only_warns():
    found = done([Check("one", says(warning("x", "y")), 2.0), Check("two", says(ok("")), 2.0, needs=("one",))])
    assert found["two"].verdict is Verdict.OK


def test_check_is_skipped_where_an_option_that_it_goes_by_is_wrong():
    checks = [
        Check("redis", says(ok("")), 2.0, options=("redis-url",)),
        Check("key", says(ok("")), 2.0, options=("service-account-key",)),
        Check("ports", says(ok("")), 2.0, options=("api-port",)),
    ]
    found = done(checks, site("redis-url", "service-account-key"))
    assert found["redis"].findings == (skipped("because --redis-url is wrong"),)
    assert found["key"].findings == (skipped("because OMNI_SERVICE_ACCOUNT_KEY is wrong"),)
    assert found["ports"].verdict is Verdict.OK


def test_without_the_file_of_options_only_what_goes_by_none_is_done():
    checks = [Check("options", says(failed("x", "y")), 2.0), Check("ports", says(ok("")), 2.0, options=("api-port",))]
    found = done(checks, site("config"))
    assert found["options"].verdict is Verdict.FAILED
    assert found["ports"].findings == (skipped("because --config is wrong"),)


def test_check_that_takes_too_long_has_failed_and_others_go_on(release):
    hangs = Check("hangs", lambda _: release.wait(60) and [], 0.05)
    found = done([hangs, Check("after", says(ok("")), 2.0, needs=("hangs",)), Check("beside", says(ok("")), 2.0)])
    assert found["hangs"].findings[0].words == "no answer within 0.05 s"
    assert found["after"].verdict is Verdict.SKIPPED
    assert found["beside"].verdict is Verdict.OK


def test_all_end_within_the_limit_of_the_whole(release):
    began_s = time.monotonic()
    found = done(
        [Check("hangs", lambda _: release.wait(60) and [], 50.0), Check("beside", says(ok("")), 2.0)], None, 0.2
    )
    assert time.monotonic() - began_s < 2
    assert "0.2 s that all checks may take" in found["hangs"].findings[0].words
    assert found["beside"].verdict is Verdict.OK


def test_check_that_breaks_has_failed_without_the_words_of_the_error():
    def breaks(_site):
        raise KeyError("canary")

    [finding] = done([Check("broken", breaks, 2.0)])["broken"].findings
    assert finding.verdict is Verdict.FAILED
    assert "KeyError" in finding.words
    assert "canary" not in finding.words + finding.remedy


def test_longest_way_through_the_checks_is_shorter_than_the_limit_of_the_whole():
    from app.doctor.checks import CHECKS
    from app.doctor.runner import LIMIT_S

    ends_s = {}
    for check in CHECKS:
        ends_s[check.name] = max((ends_s[name] for name in check.needs), default=0.0) + check.limit_s
    assert max(ends_s.values()) < LIMIT_S
