"""What Redis says of itself, judged."""

from types import SimpleNamespace

import pytest
import redis

from app.doctor import redis_server
from app.doctor.finding import Report, Verdict
from app.errors import StartError

GOOD = {
    "redis_version": "7.2.4",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
    "used_memory": 1_000,
    "role": "master",
    "cluster_enabled": 0,
}


def judged(saves="", ahead_s=0.0, **said):
    return redis_server.state_findings(redis_server.State(GOOD | said, saves, ahead_s))


def test_redis_as_it_should_be_has_nothing_wrong():
    assert judged() == []


@pytest.mark.parametrize(
    ("said", "verdict", "words", "remedy"),
    [
        ({"redis_version": "6.0.16"}, Verdict.FAILED, "6.0.16 is too old", "6.2 or later"),
        ({"role": "slave"}, Verdict.FAILED, "it is a replica", "name the primary"),
        ({"cluster_enabled": 1}, Verdict.FAILED, "node of a cluster", "single node"),
        ({"aof_enabled": 0}, Verdict.FAILED, "no persistence", "appendonly yes"),
        ({"aof_enabled": 0, "saves": "900 1"}, Verdict.WARNING, "only snapshots ('900 1')", "appendonly yes"),
        ({"aof_enabled": 0, "saves": None}, Verdict.WARNING, "CONFIG is not allowed", "appendonly yes"),
        ({"aof_last_write_status": "err"}, Verdict.FAILED, "could not write to disk", "disk is full"),
        (
            {"aof_enabled": 0, "saves": "1 1", "rdb_last_bgsave_status": "err"},
            Verdict.FAILED,
            "could not write to disk",
            "full",
        ),
        (
            {"maxmemory": 10**9, "maxmemory_policy": "volatile-lru"},
            Verdict.FAILED,
            "eviction policy volatile-lru",
            "`maxmemory-policy noeviction`",
        ),
        ({"maxmemory_policy": "allkeys-lru"}, Verdict.WARNING, "without effect", "`maxmemory-policy noeviction`"),
        ({"maxmemory": 1_050}, Verdict.FAILED, "95% of its memory limit", "raise `maxmemory`"),
        ({"ahead_s": 9.0}, Verdict.WARNING, "9 s ahead of this host's", "NTP"),
        ({"ahead_s": -9.0}, Verdict.WARNING, "9 s behind this host's", "NTP"),
    ],
)
def test_what_is_wrong_with_redis_is_said_with_its_remedy(said, verdict, words, remedy):
    found = judged(**said)
    assert Report("redis", tuple(found)).verdict is verdict
    assert words in found[0].words
    assert remedy in found[0].remedy


def test_memory_that_is_not_full_and_a_clock_that_is_nearly_right_are_fine():
    assert judged(maxmemory=2_000, ahead_s=4.0) == []


def place(tmp_path, *, bundled, process=None):
    return SimpleNamespace(
        bundled=bundled,
        run_process=process,
        redis_url="redis://:canary@redis.test:6379/0",
        redis_socket=tmp_path / "run" / "redis.sock",
        settings=SimpleNamespace(state_dir=tmp_path),
    )


def test_redis_that_run_will_start_is_no_failure(tmp_path):
    [finding] = redis_server.not_started(place(tmp_path / "not" / "yet", bundled=True))
    assert finding.verdict is Verdict.SKIPPED
    assert "--state-dir" in finding.remedy
    assert not (tmp_path / "not").exists()


def test_redis_that_run_could_not_start_is_a_failure(tmp_path, monkeypatch):
    def none():
        raise StartError("there is no redis-server; give --redis-url")

    monkeypatch.setattr(redis_server, "server_binary", none)
    (tmp_path / "file").touch()
    found = redis_server.not_started(place(tmp_path / "file" / "state", bundled=True))
    assert [finding.verdict for finding in found] == [Verdict.SKIPPED, Verdict.FAILED, Verdict.FAILED]
    assert found[1].remedy == "give --redis-url"
    assert "cannot be written to" in found[2].words


@pytest.mark.parametrize(
    ("bundled", "error", "words", "remedy"),
    [
        (False, redis.ConnectionError("refused."), "Redis at redis://redis.test:6379/0 does not answer", "--redis-url"),
        (False, redis.AuthenticationError("WRONGPASS"), "refuses the login (WRONGPASS)", "user and password"),
        (True, redis.TimeoutError("late"), "of `omni-metal run` (process 77) does not answer", "redis.log"),
    ],
)
def test_redis_that_does_not_answer_is_said_without_its_password(tmp_path, bundled, error, words, remedy):
    finding = redis_server.no_answer(place(tmp_path, bundled=bundled, process=77), error)
    assert finding.verdict is Verdict.FAILED
    assert words in finding.words
    assert remedy in finding.remedy
    assert "canary" not in finding.words
