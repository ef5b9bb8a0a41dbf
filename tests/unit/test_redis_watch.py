"""What is logged of a Redis that is away: why and what to do, once a minute, and that it is back."""

import pytest
import redis
from structlog.testing import capture_logs

from app.redis_watch import RedisWatch

URL = "redis://:s3same@redis.test:6379/0"
REFUSED = redis.ConnectionError("Error 111 connecting to redis.test:6379. Connection refused.")
WRONG = redis.AuthenticationError("invalid username-password pair or user is disabled.")

LOGIN = "correct user and password in --redis-url"
ASKS = "asks for a login"
MEND = "correct --redis-url, or what that Redis allows"


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def watch(monkeypatch):
    """A watch whose Redis fails with what `fails` names."""
    clock = Clock()
    made = RedisWatch(URL, clock)
    made.clock, made.fails = clock, None

    def ping(_client):
        if made.fails:
            raise made.fails

    monkeypatch.setattr(redis.Redis, "ping", ping)
    return made


def looks(watch, count, every_s=5):
    with capture_logs() as lines:
        for _ in range(count):
            watch.look()
            watch.clock.now_s += every_s
    return lines


def test_redis_that_answers_is_not_spoken_of(watch):
    assert looks(watch, 3) == []


def test_redis_that_is_away_is_told_at_once_and_then_once_a_minute(watch):
    watch.fails = REFUSED
    lines = looks(watch, 25)  # two minutes
    assert [line["event"] for line in lines] == ["redis_away"] * 3
    assert lines[0]["address"] == "redis://redis.test:6379/0"
    assert "Connection refused" in lines[0]["reason"]
    assert lines[0]["remedy"] == "start it, or correct --redis-url"
    assert "s3same" not in str(lines)


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (WRONG, "refuses the login: wrong user or password", LOGIN),
        (redis.AuthenticationError("HELLO must be called with the client already authenticated"), ASKS, LOGIN),
        (redis.AuthenticationError("Authentication required."), ASKS, LOGIN),
        (
            redis.exceptions.NoPermissionError("no permissions to run ping"),
            "refuses (no permissions to run ping)",
            MEND,
        ),
        (redis.ResponseError("DB index is out of range"), "refuses (DB index is out of range)", MEND),
        (
            redis.exceptions.InvalidResponse('Protocol error, got "<"'),
            'is no Redis (Protocol error, got "<")',
            "correct --redis-url",
        ),
        (
            redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
            "reads its data still",
            "wait until it has",
        ),
        (
            redis.ConnectionError("Error -2 connecting to redis.test:6379. Name or service not known."),
            "does not answer (Error -2 connecting to redis.test:6379. Name or service not known)",
            "start it, or correct --redis-url",
        ),
    ],
)
def test_causes_are_told_apart(watch, error, reason, remedy):
    watch.fails = error
    [line] = looks(watch, 1)
    assert (line["reason"], line["remedy"]) == (reason, remedy)


def test_redis_that_comes_back_is_told_with_how_long_it_was_away(watch):
    watch.fails = REFUSED
    looks(watch, 4)
    watch.fails = None
    [line] = looks(watch, 3)
    assert (line["event"], line["away_s"]) == ("redis_back", 20)
    watch.fails = REFUSED
    assert len(looks(watch, 2)) == 1
