"""What is shown of reports, to people and to programs, and what never is."""

import click
import pytest

from app.doctor.finding import Report, failed, ok, skipped, warning, while_starting
from app.doctor.render import as_data, lines, without_secrets
from config.settings import Settings


def shown(*findings):
    return [click.unstyle(line) for line in lines(Report("redis", findings), 8)]


def test_one_finding_is_one_line():
    assert shown(ok("answers")) == ["ok       redis     answers"]
    assert shown(skipped("because omni failed")) == ["skipped  redis     because omni failed"]


def test_remedy_stands_below():
    assert shown(failed("is away", "start it")) == ["failed   redis     is away", "         → start it"]


def test_of_several_what_is_wrong_stands_below_with_its_remedy():
    assert shown(ok("1.2 here"), failed("full", "buy more"), warning("old", "renew it"), ok("quick")) == [
        "failed   redis     1.2 here; quick",
        "         full",
        "         → buy more",
        "         warning: old",
        "         → renew it",
    ]


def test_data_hold_everything_and_say_whether_anything_failed():
    good = Report("omni", (ok("answers"), warning("slow", "wait")), 0.12345)
    assert as_data([good]) == {
        "ok": True,
        "checks": [
            {
                "check": "omni",
                "verdict": "warning",
                "took_s": 0.123,
                "findings": [
                    {"verdict": "ok", "words": "answers", "remedy": ""},
                    {"verdict": "warning", "words": "slow", "remedy": "wait"},
                ],
            }
        ],
    }
    assert not as_data([good, Report("redis", (failed("x", "y"),))])["ok"]


@pytest.mark.parametrize(
    "secret",
    [
        {"service_account_key": "canary"},
        {"api_token": "canary"},
        {"flower_password": "canary"},
        {"redis_url": "redis://:canary@redis.test/0"},
        {"redis_url": "redis://user:canary@redis.test/0"},
        {"redis_url": "redis://redis.test/0?password=canary"},
        {"redis_url": "redis://:can%61ry@redis.test/0"},
        {"image_factory_base_url": "https://user:canary@factory.test"},
    ],
)
def test_secret_that_an_error_quotes_is_hidden(secret):
    clean = without_secrets(Settings(**secret))
    [finding] = clean(Report("x", (failed("refused canary", "not canary"),))).findings
    assert "canary" not in finding.words + finding.remedy
    assert finding.words.startswith("refused ")


def test_words_without_secrets_are_left_alone():
    clean = without_secrets(Settings())
    report = Report("x", (failed("redis://127.0.0.1:6379/0 of admin", "name it"),))
    assert clean(report) == report


def test_while_it_starts_nothing_has_failed():
    [missing, there] = while_starting([failed("no worker", "start it"), ok("here")])
    assert missing.verdict.value == "warning"
    assert missing.words == "no worker (`omni-metal run` has just started)"
    assert there == ok("here")
