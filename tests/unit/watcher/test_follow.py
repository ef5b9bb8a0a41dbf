"""Follow Omni: what a follower does when its watch breaks, says nothing, or is refused."""

import itertools
import queue
import threading
import time
from types import SimpleNamespace

import fakeredis
import pytest
import redis

from app.omni.errors import NotAuthenticated, WatchEnded
from app.omni.kinds import Kind
from app.omni.resource import Resource, blank
from app.omni.watch import Bootstrap, Changed
from app.state.mirror import Mirror
from app.state.secrets import sealer
from app.state.wake import Alarms
from app.watcher import follow
from app.watcher.echoes import Echoes
from app.watcher.follow import Follower, Followers
from config.settings import Settings

CANCELLED = object()


def wait_until(holds):
    """Wait for another thread; it takes milliseconds."""
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


class Stream:
    """One watch: what is put in comes out, an exception is raised."""

    def __init__(self):
        self._steps = queue.SimpleQueue()
        self.over = threading.Event()

    def put(self, step):
        self._steps.put(step)

    def cancel(self):
        self.over.set()
        self._steps.put(CANCELLED)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()

    def __iter__(self):
        while (step := self._steps.get(timeout=10)) is not CANCELLED:
            if isinstance(step, Exception):
                raise step
            yield step


class Watches:
    """An Omni of watches alone."""

    def __init__(self):
        self.opened = []

    def watch(self, kind):
        assert kind is not None
        self.opened.append(Stream())
        return self.opened[-1]

    def nth(self, number):
        """The watch that is begun as the so manyth."""
        wait_until(lambda: len(self.opened) >= number)
        return self.opened[number - 1]


def resource(machine_id, version=1):
    raw = blank(Kind.REBOOT_STATUS, "bm", machine_id).raw
    raw.metadata.version = str(version)
    raw.metadata.created.FromSeconds(1)
    return Resource(Kind.REBOOT_STATUS, raw)


class Site:
    def __init__(self, tmp_path):
        store = fakeredis.FakeRedis()
        settings = Settings(omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=tmp_path)
        self.omni, self.mirror = Watches(), Mirror(store, sealer(settings))
        self.alarms = Alarms(store)
        self.turns = threading.Lock()

    def follower(self, kind=Kind.REBOOT_STATUS):
        return Follower(kind, self.omni, self.mirror, self.alarms, Echoes(), turns=self.turns)

    def mirrored(self):
        found = {m: self.mirror.resource(Kind.REBOOT_STATUS, m) for m in self.mirror.machine_ids()}
        return {machine_id: copy.version for machine_id, copy in found.items() if copy is not None}


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def follower(site, monkeypatch):
    monkeypatch.setattr(follow, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(follow, "_LONGEST_PAUSE_S", 0.05)
    made = site.follower()
    made.start()
    yield made
    made.stop()
    made._thread.join(5)


def established(follower):
    wait_until(follower.established.is_set)


def test_before_anything_came_it_says_so(site):
    follower = site.follower()
    assert (follower.problem.code, follower.established.is_set()) == ("starting", False)


def test_break_is_told_and_what_was_missed_is_made_good_by_the_next_watch(site, follower):
    first = site.omni.nth(1)
    first.put(Bootstrap((resource("a"), resource("b"))))
    first.put(Changed(resource("c")))
    wait_until(lambda: site.mirrored() == {"a": 1, "b": 1, "c": 1})
    site.alarms.take(100)
    first.put(WatchEnded("Watch", "reboot_status", "Stream removed"))
    wait_until(lambda: not follower.established.is_set())
    assert (follower.problem.code, bool(follower.problem.remedy)) == ("watch-ended", True)
    assert first.over.is_set()
    site.omni.nth(2).put(Bootstrap((resource("a", 2), resource("d"))))
    established(follower)
    assert site.mirrored() == {"a": 2, "d": 1}
    assert follower.problem is None
    assert set(site.alarms.take(100)) == {"a", "b", "c", "d"}


def test_bootstrap_makes_good_what_is_older_than_the_mirror_as_after_a_restored_backup(site, follower):
    site.omni.nth(1).put(Bootstrap((resource("a", 9),)))
    established(follower)
    follower.restart()
    site.omni.nth(2).put(Bootstrap((resource("a", 3),)))
    wait_until(lambda: site.mirrored() == {"a": 3})


def test_refused_account_is_not_asked_again_at_once(site, monkeypatch):
    pauses = []
    made = site.follower()

    def pause(seconds):
        pauses.append(seconds)
        made._stopping = len(pauses) == 3

    monkeypatch.setattr(follow, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    monkeypatch.setattr(made, "_follow", lambda: (_ for _ in ()).throw(NotAuthenticated("Watch", "x", "invalid")))
    made._run()
    assert pauses == [follow._LONGEST_PAUSE_S] * 3
    assert made.problem.code == "key-refused"


def test_other_breaks_are_tried_again_later_and_later(site, monkeypatch):
    pauses = []
    made = site.follower()

    def pause(seconds):
        pauses.append(seconds)
        made._stopping = len(pauses) == 7

    monkeypatch.setattr(follow, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    monkeypatch.setattr(made, "_follow", lambda: (_ for _ in ()).throw(WatchEnded("Watch", "x", "gone")))
    made._run()
    assert pauses == [0.5, 1, 2, 4, 8, 10, 10]


def test_redis_away_is_told_as_such(site, follower, monkeypatch):
    def away(*_):
        raise redis.ConnectionError

    monkeypatch.setattr(site.mirror, "replace", away)
    site.omni.nth(1).put(Bootstrap(()))
    wait_until(lambda: follower.problem is not None and follower.problem.code == "redis-unreachable")
    assert not follower.established.is_set()
    assert "--redis-url" in follower.problem.remedy


def test_fault_of_ours_does_not_end_the_thread(site, follower, monkeypatch):
    monkeypatch.setattr(site.mirror, "replace", lambda *_: 1 / 0)
    site.omni.nth(1).put(Bootstrap(()))
    wait_until(lambda: follower.problem is not None and follower.problem.code == "fault")
    monkeypatch.undo()
    site.omni.nth(2).put(Bootstrap((resource("a"),)))
    established(follower)
    assert site.mirrored() == {"a": 1}


def test_mirror_that_was_lost_while_a_watch_began_is_filled_by_another_one(site, follower):
    first = site.omni.nth(1)
    follower.restart(rebuild=True)
    wait_until(first.over.is_set)
    first.put(Bootstrap((resource("old"),)))  # too late: nobody reads it
    site.omni.nth(2).put(Bootstrap((resource("a"),)))
    established(follower)
    assert site.mirrored() == {"a": 1}


def test_rebuild_in_the_very_moment_a_watch_begins_is_not_lost(site, monkeypatch):
    made = site.follower()
    begin = site.omni.watch

    def watch(kind):
        stream = begin(kind)
        if len(site.omni.opened) == 1:
            made.restart(rebuild=True)  # the watch is begun, and nobody else knows it yet
        return stream

    monkeypatch.setattr(site.omni, "watch", watch)
    made.start()
    site.omni.nth(1).put(Bootstrap((resource("a"),)))
    established(made)
    made.stop()
    made._thread.join(5)


# Comparing


class Clock:
    def __init__(self, monkeypatch):
        self.now_s = 1000.0
        monkeypatch.setattr(follow, "time", SimpleNamespace(monotonic=lambda: self.now_s))


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def _all(site):
    """Followers whose watches have told all; each restart of one is answered at once, if `answers`."""
    followers = Followers(site.omni, site.mirror, site.alarms, Echoes())
    for follower in followers._followers:
        follower.established.set()
    return followers


def _begun(followers, since_s):
    return [f.kind for f in followers._followers if f._began_s >= since_s]


def test_each_kind_is_compared_every_ten_minutes_one_at_a_time(site, clock):
    followers, begun = _all(site), []
    start_s = clock.now_s
    while clock.now_s < start_s + 3 * follow.COMPARE_EVERY_S:
        clock.now_s += 1
        followers.compare()
        now = _begun(followers, clock.now_s)
        assert len(now) <= 1
        begun += [(kind, clock.now_s - start_s) for kind in now]
    for kind in {f.kind for f in followers._followers}:
        times = [0.0, *(at for of, at in begun if of is kind)]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert len(gaps) >= 2
        assert max(gaps) < follow.COMPARE_EVERY_S + 2 * len(followers._followers)


def test_watch_that_takes_its_time_to_begin_anew_is_left_to_it(site, clock):
    followers = _all(site)
    clock.now_s += follow.COMPARE_EVERY_S + 1
    for _ in followers._followers:
        followers.compare()
    began = [f._began_s for f in followers._followers]
    for _ in range(100):  # nothing has come of them yet
        clock.now_s += 1
        followers.compare()
    assert [f._began_s for f in followers._followers] == began


def test_kind_that_cannot_be_followed_does_not_keep_the_others_from_being_compared(site, clock):
    followers = _all(site)
    followers._followers[0].established.clear()
    clock.now_s += follow.COMPARE_EVERY_S + 1
    for _ in range(20):
        followers.compare()
    assert len(_begun(followers, clock.now_s)) == len(followers._followers) - 1


def test_silent_watch_is_found_when_its_time_has_come(site, follower, monkeypatch):
    silent = site.omni.nth(1)
    silent.put(Bootstrap((resource("a"),)))
    established(follower)
    followers = Followers(site.omni, site.mirror, site.alarms, Echoes())
    monkeypatch.setattr(followers, "_followers", [follower])
    began_s = time.monotonic()
    monkeypatch.setattr(follow, "COMPARE_EVERY_S", 0.2)
    while len(site.omni.opened) < 2:
        followers.compare()
        assert time.monotonic() < began_s + 5
    assert silent.over.is_set()
    site.omni.nth(2).put(Bootstrap((resource("a", 2),)))
    wait_until(lambda: site.mirrored() == {"a": 2})


def test_kinds_take_in_what_there_is_one_after_the_other(site, follower):
    first, other = site.omni.nth(1), site.follower(Kind.WIPE_STATUS)
    other.start()
    site.omni.nth(2).put(Bootstrap(()))
    assert not other.established.wait(0.1)
    first.put(Bootstrap((resource("a"),)))
    established(other)
    other.stop()


def test_kind_that_says_nothing_holds_up_no_other(site, follower, monkeypatch):
    monkeypatch.setattr(follow, "TURN_S", 0.05)
    site.omni.nth(1)
    other = site.follower(Kind.WIPE_STATUS)
    other.start()
    site.omni.nth(2).put(Bootstrap(()))
    established(other)
    assert not follower.established.is_set()
    other.stop()
