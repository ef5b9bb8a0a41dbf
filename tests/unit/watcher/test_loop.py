"""The loop takes only so many machines at once: what waits, waits in Redis and not in memory."""

import threading
import time
from types import SimpleNamespace

import fakeredis
import pytest

from app.omni.client import Omni
from app.state.wake import ALARMS, Alarms
from app.watcher import loop
from app.watcher.loop import Watcher
from config.settings import Settings

MACHINES = [f"machine-{number}" for number in range(10)]


class SlowLooker:
    """Looks that last until they may end."""

    def __init__(self):
        self.may_end = threading.Event()
        self.looked_at = []

    def see(self, machine_ids):
        return [SimpleNamespace(machine=SimpleNamespace(id=m)) for m in machine_ids]

    def plan(self, sight):
        return sight

    def idle(self, _plan):
        return False

    def look(self, plan):
        assert self.may_end.wait(10)
        self.looked_at.append(plan.machine.id)


@pytest.fixture
def store():
    return fakeredis.FakeRedis()


@pytest.fixture
def watcher(store, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "BATCH", 2)
    monkeypatch.setattr(loop, "MOST_LOOKS", 4)
    settings = Settings(omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=tmp_path)
    with Omni(settings.omni_api_endpoint, settings.id) as omni:
        made = Watcher(settings, store, omni)
        made._looker = SlowLooker()
        yield made
        made._looker.may_end.set()
        made.stop()


def test_machines_wait_in_redis_while_omni_is_slow_and_all_have_their_look(watcher, store):
    Alarms(store).wake(*MACHINES)
    while watcher._look_around():
        pass
    assert store.zcard(ALARMS) == len(MACHINES) - 4
    watcher._looker.may_end.set()
    deadline_s = time.monotonic() + 10
    while len(watcher._looker.looked_at) < len(MACHINES):
        assert time.monotonic() < deadline_s
        watcher._look_around()
    assert sorted(watcher._looker.looked_at) == MACHINES
