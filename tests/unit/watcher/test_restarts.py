"""A Redis that was restarted may have lost the latest of the mirror, so all is read from Omni again."""

import fakeredis
import pytest
import redis

from app.omni.client import Omni
from app.watcher.loop import Watcher
from config.settings import Settings


class Store(fakeredis.FakeRedis):
    """run_id: which run of Redis answers; None: it does not say."""

    run_id = "1"

    def info(self, *_):
        if self.run_id is None:
            raise redis.ResponseError("NOPERM")
        return {"run_id": self.run_id}


@pytest.fixture
def watcher(tmp_path, monkeypatch):
    settings = Settings(omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=tmp_path)
    with Omni(settings.omni_api_endpoint, settings.id) as omni:
        made = Watcher(settings, Store(), omni)
        made.rebuilt = 0

        def rebuild():
            made.rebuilt += 1

        monkeypatch.setattr(made._followers, "rebuild", rebuild)
        yield made


def seen(watcher, *run_ids):
    for run_id in run_ids:
        watcher._redis.run_id = run_id
        watcher._look_for_a_restart()
    return watcher.rebuilt


def test_redis_that_goes_on_is_left_alone(watcher):
    assert seen(watcher, "1", "1", "1") == 0


def test_redis_that_was_restarted_has_the_mirror_made_anew_once(watcher):
    assert seen(watcher, "1", "2", "2", "2") == 1


def test_redis_that_does_not_say_is_left_alone(watcher):
    assert seen(watcher, None, None) == 0
