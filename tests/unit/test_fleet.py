import json
from dataclasses import replace

import fakeredis
import pytest
import redis

from app import fleet
from app.machine.decide import decide
from app.machine.model import DecideOptions, Facts
from app.state.facts import PowerRead, RefusedTunnel
from app.state.view import MachineView
from config.settings import Settings
from tests.unit.web.stand_ins import picture


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


def test_unreachable_redis_is_said_without_its_password_and_makes_no_state_dir(settings, monkeypatch, capsys):
    def refuse(_client):
        raise redis.ConnectionError("Error 111 connecting to redis.test")

    monkeypatch.setattr(fakeredis.FakeRedis, "ping", refuse)
    assert fleet.show_machines(settings, as_json=False) == 1
    said = capsys.readouterr().err
    assert "Redis at redis://redis.test/0 does not answer" in said
    assert "--state-dir" in said
    assert "sesame" not in said
    assert not settings.state_dir.exists()


def test_refused_tunnel_stands_before_the_reason_of_the_machine(settings, monkeypatch, capsys):
    machine = picture()
    view = MachineView(machine, decide(machine, DecideOptions()), (), None, None, "ready", "may stay off")
    seen = [view, replace(view, refused_tunnel=RefusedTunnel(1_700_000_000_000, "192.0.2.66"))]
    monkeypatch.setattr(Views, "all", lambda _: seen)
    assert fleet.show_machines(settings, as_json=False) == 0
    plain, told = capsys.readouterr().out.splitlines()[1:]
    assert "tunnel" not in plain and "may stay off" in plain
    assert "A second tunnel from 192.0.2.66 was refused at 2023-11-14 22:13:20 UTC. may stay off" in told
    assert fleet.show_machines(settings, as_json=True) == 0
    told = [machine["refused_tunnel"] for machine in json.loads(capsys.readouterr().out)]
    assert told == [None, {"at": "2023-11-14T22:13:20.000+00:00", "address": "192.0.2.66"}]


def test_reboot_whose_worker_died_stands_before_the_reason_of_the_machine(settings, monkeypatch, capsys):
    told = "The reboot was begun, and its worker died. Ask for another if it was not."
    machine = picture(requested_reboot_id="r1")
    plain = (machine, decide(machine, DecideOptions()), (), None, None, "ready", "runs Talos")
    view = MachineView(*plain, unended_reboot=told)
    monkeypatch.setattr(Views, "all", lambda _: [view])
    assert fleet.show_machines(settings, as_json=False) == 0
    told = capsys.readouterr().out
    assert "its worker died" in told and "Ask for another if it was not. runs Talos" in told
    assert fleet.show_machines(settings, as_json=True) == 0
    assert "its worker died" in json.loads(capsys.readouterr().out)[0]["unended_reboot"]


def test_old_power_is_listed_with_its_age(settings, monkeypatch, capsys):
    machine = replace(picture(), facts=Facts())
    read = PowerRead(False, int(machine.now.timestamp() * 1000) - 420_000)
    view = MachineView(machine, decide(machine, DecideOptions()), (), None, None, "ready", "", power_read=read)
    monkeypatch.setattr(Views, "all", lambda _: [view])
    assert fleet.show_machines(settings, as_json=False) == 0
    assert "off, read 7 min ago" in capsys.readouterr().out


def test_redis_of_a_running_provider_is_found_by_the_state_dir(settings):
    assert fleet.with_bundled_redis(settings) is settings
    assert not settings.state_dir.exists()
    settings.state_dir.mkdir()
    assert fleet.with_bundled_redis(settings) is settings
    (settings.run_dir / "redis.sock").touch()
    assert fleet.with_bundled_redis(settings).redis_url == f"unix://{settings.run_dir}/redis.sock"
