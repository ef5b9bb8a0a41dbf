"""What a heartbeat tells Omni: that we live, and what is down."""

import time

import fakeredis
import pytest
import redis

from app.omni.kinds import Kind
from app.state.mirror import Mirror
from app.state.secrets import sealer
from app.watcher import provider as provider_module
from app.watcher.provider import Provider
from config.settings import Settings
from tests.unit.omni_in_memory import PROVIDER, InMemoryOmni


class Site:
    def __init__(self, settings):
        self.redis, self.omni = fakeredis.FakeRedis(), InMemoryOmni()
        self.mirror = Mirror(self.redis, sealer(settings))
        self.provider = Provider(settings, self.redis, self.omni, self.mirror)

    def told(self):
        self.provider.beat()
        return self.omni.stored[Kind.PROVIDER_HEALTH_STATUS, PROVIDER].spec.error


@pytest.fixture
def site(tmp_path):
    return Site(Settings(omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=tmp_path))


@pytest.fixture
def down(monkeypatch):
    words = ["no gateway: agents cannot connect"]
    monkeypatch.setattr(provider_module, "parts_down", lambda *_: words)
    return words


def test_parts_that_are_down_are_told_until_they_are_back(site, down):
    down.append("the image factory does not answer")
    assert site.told() == "no gateway: agents cannot connect; the image factory does not answer"
    down.clear()
    assert site.told() == ""


def test_just_started_nothing_is_told(site, down):
    site.provider._quiet_until_s = float("inf")
    assert down
    assert site.told() == ""


def test_redis_away_the_heartbeat_goes_on_and_tells_it(site, monkeypatch):
    site.provider.beat()

    def away(*_, **__):
        raise redis.TimeoutError

    monkeypatch.setattr(site.redis, "set", away)
    assert site.told() == "Redis does not answer (TimeoutError)"


def test_redis_away_from_the_start_there_is_no_heartbeat(site, monkeypatch):
    def away(*_, **__):
        raise redis.ConnectionError

    monkeypatch.setattr(site.redis, "get", away)
    with pytest.raises(redis.ConnectionError):
        site.provider.beat()
    assert (Kind.PROVIDER_HEALTH_STATUS, PROVIDER) not in site.omni.stored


def test_what_keeps_machines_from_joining_is_told_with_the_parts(site, down):
    site.provider.refresh_join_config()
    assert site.told().startswith("no gateway: agents cannot connect; no machine can join: Omni has neither")
    assert site.provider.join_problem.code == "no-join-config"
    site.omni.give(Kind.CONNECTION_PARAMS, "siderolink-config", api_endpoint="grpc://o:1", join_token="t")
    site.omni.give(Kind.CONNECTION_PARAMS, "siderolink-config", events_port=1, logs_port=1)
    site.provider.refresh_join_config()
    assert site.told() == "no gateway: agents cannot connect"


def test_joining_is_read_again_with_each_heartbeat(site, monkeypatch):
    monkeypatch.setattr(provider_module, "HEARTBEAT_EVERY_S", 0.01)
    site.omni.give(Kind.RESOURCE_DEFINITION, "providerjoinconfigs.omni.sidero.dev")
    site.provider.keep_beating()
    try:
        for text in ("kind: One\n", "kind: Two\n"):
            site.omni.update(
                Kind.PROVIDER_JOIN_CONFIG, PROVIDER, lambda d, t=text: setattr(d.spec.config, "config", t), create=True
            )
            until = time.monotonic() + 10
            while site.mirror.join_config() != text:
                assert time.monotonic() < until
                time.sleep(0.01)
    finally:
        site.provider.stop()


def until(condition):
    ends_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def test_fault_in_a_heartbeat_is_told_and_the_heartbeats_go_on(site, monkeypatch):
    monkeypatch.setattr(provider_module, "HEARTBEAT_EVERY_S", 0.05)
    faults = [ValueError("a fault")] * 2

    def parts_down(*_):
        if faults:
            raise faults.pop()
        return []

    monkeypatch.setattr(provider_module, "parts_down", parts_down)
    monkeypatch.setattr(provider_module, "STARTING_S", -1.0)
    problems = []
    site.provider.keep_beating()
    try:
        until(
            lambda: (
                problems.append(site.provider.problem) or (Kind.PROVIDER_HEALTH_STATUS, PROVIDER) in site.omni.stored
            )
        )
    finally:
        site.provider.stop()
    assert not faults
    assert "fault" in {problem.code for problem in problems if problem}


def test_our_own_heartbeat_is_nobody_elses_and_one_that_another_wrote_over_it_is(site):
    site.provider.beat()
    assert site.provider.other_alive() is None
    site.omni.update(
        Kind.PROVIDER_HEALTH_STATUS,
        PROVIDER,
        lambda d: d.spec.last_heartbeat_timestamp.FromMilliseconds(int(time.time() * 1000) - 5_000),
    )
    assert site.provider.other_alive().code == "another-provider"
    site.provider.beat()
    assert site.provider.other_alive() is None
