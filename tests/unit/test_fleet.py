import json

import fakeredis
import pytest
import redis

from app import fleet
from config.settings import Settings
from workers.enqueue import QueueUnavailable, OrderResult

MACHINE = "6d657461-6c00-4000-8000-000000000001"


class Views:
    def __init__(self, *_):
        pass

    def all(self):
        return []


class Mirror:
    def __init__(self, *_):
        pass

    def complete(self):
        return False

    def machine_ids(self):
        return [MACHINE]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(fleet, "connect", lambda _: fakeredis.FakeRedis())
    monkeypatch.setattr(fleet, "Mirror", Mirror)
    monkeypatch.setattr(fleet, "Views", Views)
    return Settings(state_dir=tmp_path / "state", redis_url="redis://:sesame@redis.test/0")


def test_list_of_no_machines_is_an_empty_list_and_says_that_the_picture_is_not_complete(settings, capsys):
    assert fleet.show_machines(settings, as_json=True) == 0
    written = capsys.readouterr()
    assert json.loads(written.out) == []
    assert "not complete yet" in written.err


def test_retry_of_an_unknown_machine_is_refused(settings, capsys):
    assert fleet.retry_machine(settings, "nope") == 1
    assert "there is no machine nope" in capsys.readouterr().err


def test_retry_says_what_it_has_started(settings, monkeypatch, capsys):
    monkeypatch.setattr(fleet, "retry", lambda _s, _c, machine_id, by: OrderResult(("wipe",), ""))
    assert fleet.retry_machine(settings, MACHINE) == 0
    assert capsys.readouterr().out == "started: wipe\n"


def test_retry_with_nothing_to_do_says_why_with_status_1(settings, monkeypatch, capsys):
    monkeypatch.setattr(fleet, "retry", lambda *_: OrderResult((), "a wipe runs now"))
    assert fleet.retry_machine(settings, MACHINE) == 1
    assert "nothing was started: a wipe runs now" in capsys.readouterr().err


@pytest.mark.parametrize("command", [fleet.retry_machine, fleet.show_machines])
def test_unreachable_redis_is_said_without_its_password_and_makes_no_state_dir(settings, command, monkeypatch, capsys):
    def refuse(_client):
        raise redis.ConnectionError("Error 111 connecting to redis.test")

    monkeypatch.setattr(fakeredis.FakeRedis, "ping", refuse)
    arguments = {"as_json": False} if command is fleet.show_machines else {"machine_id": MACHINE}
    assert command(settings, **arguments) == 1
    said = capsys.readouterr().err
    assert "Redis at redis://redis.test/0 does not answer" in said
    assert "--state-dir" in said
    assert "sesame" not in said
    assert not settings.state_dir.exists()


def test_queue_that_cannot_be_reached_is_said(settings, monkeypatch, capsys):
    def refuse(*_):
        raise QueueUnavailable("cannot send wipe")

    monkeypatch.setattr(fleet, "retry", refuse)
    assert fleet.retry_machine(settings, MACHINE) == 1
    assert "does not answer (cannot send wipe)" in capsys.readouterr().err


def test_redis_of_a_running_provider_is_found_by_the_state_dir(settings):
    assert fleet.with_bundled_redis(settings) is settings
    assert not settings.state_dir.exists()
    settings.state_dir.mkdir()
    assert fleet.with_bundled_redis(settings) is settings
    (settings.run_dir / "redis.sock").touch()
    assert fleet.with_bundled_redis(settings).redis_url == f"unix://{settings.run_dir}/redis.sock"
