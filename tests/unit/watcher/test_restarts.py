"""A Redis that was restarted may have lost the latest of the mirror, so all is read from Omni again."""

import fakeredis
import pytest
import redis

from app.omni.client import Omni
from app.state.boots import Boots
from app.state.mirror_keys import WATCHED
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
        made._redis.set("om:boots-tracked", 1)  # long ago
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


def config_allowed(watcher):
    """Whether a machine that did not boot gets the configuration, as far as is known."""
    return Boots(watcher._redis).config_allowed("m1", None, match_address=False)


def test_redis_that_goes_on_is_left_alone(watcher):
    assert seen(watcher, "1", "1", "1") == 0


def test_redis_that_was_restarted_has_the_mirror_made_anew_once(watcher):
    assert seen(watcher, "1", "2", "2", "2") == 1


def test_which_machines_booted_is_not_known_after_a_restart_of_redis(watcher):
    assert config_allowed(watcher) is False
    seen(watcher, "1", "2")
    assert config_allowed(watcher) is True


@pytest.mark.parametrize(("watched", "known"), [(True, True), (False, False)])
def test_which_machines_booted_is_not_known_where_no_watcher_was_at_work_before(watcher, monkeypatch, watched, known):
    monkeypatch.setattr(watcher._followers, "start", lambda: None)
    watcher._mirror.mark_complete(watcher._mirror.begin_build(), 0)
    if not watched:
        watcher._redis.delete(WATCHED)
    assert config_allowed(watcher) is False
    watcher.start()
    assert config_allowed(watcher) is not known


def test_redis_that_does_not_say_is_left_alone(watcher):
    assert seen(watcher, None, None) == 0
