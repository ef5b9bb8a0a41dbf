"""Through every break the watches start over with all that there is, and the mirror is made as Omni is."""

import contextlib
import os
import time

import grpc
import pytest
import redis

from app.bundled_redis import BundledRedis
from app.omni import channel
from app.omni import watch as watch_module
from app.omni.client import Omni
from app.omni.errors import OmniError
from app.omni.kinds import PICTURE_KINDS, Kind
from app.state.mirror import Mirror
from app.state.secrets import sealer
from app.state.wake import Alarms
from app.watcher import follow
from app.watcher.echoes import Echoes
from app.watcher.follow import Followers
from config.settings import Settings
from lab.omni import server as server_module
from lab.omni.admin import STATIC_PROVIDER
from lab.omni.thread import OmniThread
from tests.integration.children import wait_until
from tests.integration.deaf_proxy import DeafProxy

pytestmark = pytest.mark.integration

CHANGED, REMOVED, JOINED = (f"5d8b1f0e-0000-4000-8000-00000000000{n}" for n in range(3))
KIND = Kind.INFRA_MACHINE


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(follow, "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(follow, "_LONGEST_PAUSE_S", 0.2)
    monkeypatch.setattr(channel, "KEEPALIVE_MS", 500)
    monkeypatch.setattr(channel, "KEEPALIVE_TIMEOUT_MS", 500)
    monkeypatch.setattr(server_module, "PING_INTERVAL_MS", 100)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    bundled = BundledRedis(folder / "state", folder, os.environ)
    bundled.start()
    with redis.Redis.from_url(bundled.url) as client:
        yield client
    bundled.child.kill()


class Site:
    """An Omni with two machines behind a proxy, and followers that fill a mirror."""

    def __init__(self, store, tmp_path):
        store.flushall()
        settings = Settings(omni_api_endpoint="http://192.0.2.9", api_advertise_address="192.0.2.8", state_dir=tmp_path)
        self.store, self.mirror, self.server = store, Mirror(store, sealer(settings)), OmniThread("bm")
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        self._stack.enter_context(self.server)
        port = int(self.server.endpoint.rpartition(":")[2])
        self.proxy = self._stack.enter_context(DeafProxy(port))
        self.omni = self._stack.enter_context(Omni(f"http://127.0.0.1:{self.proxy.port}", "bm"))
        self.omni.create(Kind.PROVIDER_STATUS, "bm", labels={STATIC_PROVIDER: ""})
        self.do(lambda o: [o.join(m) for m in (CHANGED, REMOVED)])
        self.followers = Followers(self.omni, self.mirror, Alarms(self.store), Echoes())
        return self

    def __exit__(self, *_):
        self.followers.stop()
        for follower in self.followers._followers:
            follower._thread.join(10)
        self._stack.close()

    def start(self):
        self.followers.start()
        wait_until(self.followers.established)
        assert self.differences() == []

    def do(self, act):
        """Let something be done at Omni, as by an operator."""
        return self.server.do(act)

    def change_all(self):
        """One machine is accepted, one goes, one comes."""
        self.do(lambda o: (o.accept(CHANGED), o.remove(REMOVED), o.join(JOINED)))

    def differences(self):
        """What differs between Omni and the mirror."""
        there = {r.id: r.order for r in self.do(lambda o: o.list(KIND))}
        here = {m: self.mirror.resource(KIND, m) for m in self.mirror.machine_ids()}
        here = {machine_id: found.order for machine_id, found in here.items() if found is not None}
        return sorted(there.items() ^ here.items())

    def code(self):
        problem = self.followers.problem()
        return problem.code if problem else ""


@pytest.fixture
def site(store, tmp_path):
    with Site(store, tmp_path) as made:
        yield made


# What breaks, and how it is found


def _restarted(site):
    site.server.stop()
    site.change_all()
    site.server.start()


def _stream_removed(site):
    site.do(lambda o: (o.silence_watches(KIND), o.end_watches()))
    site.change_all()


def _unavailable(site):
    site.do(lambda o: o.end_watches(grpc.StatusCode.UNAVAILABLE, "Socket closed"))
    site.change_all()


def _errored(site):
    site.do(lambda o: o.fail_watches("etcdserver: mvcc: required revision has been compacted"))
    site.change_all()


@pytest.mark.parametrize("broken", [_restarted, _stream_removed, _unavailable, _errored])
def test_break_is_survived_and_all_that_was_missed_is_made_good(site, broken):
    site.start()
    broken(site)
    wait_until(lambda: site.differences() == [] and site.followers.established(), 30)
    site.do(lambda o: o.set_kernel_args(CHANGED, "later"))  # the new watch goes on
    wait_until(lambda: site.differences() == [])


def test_connection_that_dies_without_a_word_is_found_by_pings(site):
    site.start()
    time.sleep(3)  # grpc would have sent its two pings by now, and no more
    site.proxy.deaf = True
    site.change_all()
    wait_until(lambda: not site.followers.established(), 10)
    assert site.code() == "omni-unreachable"
    assert site.differences() != []
    site.proxy.deaf = False
    wait_until(lambda: site.followers.established() and site.differences() == [], 30)


def test_idle_connection_is_not_taken_for_dead(site):
    site.start()
    opened = site.do(lambda o: o.calls["Watch InfraMachines"])
    time.sleep(4)
    assert site.followers.established()
    assert site.do(lambda o: o.calls["Watch InfraMachines"]) == opened


def test_watch_that_falls_silent_is_found_when_it_is_compared(site, monkeypatch):
    site.start()
    site.do(lambda o: o.silence_watches(KIND))
    site.change_all()
    time.sleep(0.5)
    assert site.followers.established()  # nothing tells
    assert site.differences() != []
    monkeypatch.setattr(follow, "COMPARE_EVERY_S", 0.3)

    def compared():
        site.followers.compare()
        return site.differences() == []

    wait_until(compared)
    assert site.followers.established()


def test_every_kind_is_compared_in_turn(site, monkeypatch):
    site.start()
    counts = {kind: f"Watch {kind.type('bm').partition('.')[0]}" for kind in PICTURE_KINDS}
    before = site.do(lambda o: o.calls.copy())
    monkeypatch.setattr(follow, "COMPARE_EVERY_S", 0.3)

    def all_compared():
        site.followers.compare()
        now = site.do(lambda o: o.calls.copy())
        return all(now[name] >= before[name] + 2 for name in counts.values())

    wait_until(all_compared, 30)


def test_watch_that_never_delivers_is_given_up_told_and_tried_again(site, monkeypatch):
    monkeypatch.setattr(watch_module, "BOOTSTRAP_TIMEOUT_S", 0.3)
    site.do(lambda o: o.silence_new_watches(KIND))
    site.followers.start()
    wait_until(lambda: site.code() == "watch-ended")
    assert "no end of the present resources within 0.3 s" in site.followers.problem().words
    assert not site.followers.established()
    site.do(lambda o: o.silence_new_watches())
    wait_until(site.followers.established)
    assert site.differences() == []


def test_watch_that_does_not_deliver_after_a_restart_is_found_as_well(site, monkeypatch):
    monkeypatch.setattr(watch_module, "BOOTSTRAP_TIMEOUT_S", 0.3)
    site.start()
    site.do(lambda o: o.silence_new_watches(KIND))
    _restarted(site)
    wait_until(lambda: site.code() == "watch-ended")
    site.do(lambda o: o.silence_new_watches())
    wait_until(lambda: site.followers.established() and site.differences() == [], 30)


def test_events_of_other_providers_leave_the_watch_as_it_is(site):
    site.start()
    place = site.do(lambda o: o._place(KIND))
    raw = site.do(lambda o: o.get(KIND, CHANGED)).raw
    theirs = type(raw)()
    theirs.CopyFrom(raw)
    theirs.metadata.id, theirs.metadata.owner = JOINED, ""
    theirs.metadata.labels["omni.sidero.dev/infra-provider-id"] = "other"
    site.do(lambda o: (o._store.create(theirs, "InfraMachineController"), o._store.list(place)))
    site.do(lambda o: o.accept(CHANGED))  # whose event comes after the empty response
    wait_until(lambda: site.mirror.resource(KIND, CHANGED).spec.acceptance_status == 1)
    assert site.followers.established()
    assert site.mirror.resource(KIND, JOINED) is None


REFUSALS = [
    (grpc.StatusCode.UNAUTHENTICATED, "invalid signature", "key-refused"),
    (grpc.StatusCode.PERMISSION_DENIED, 'infra provider with name "bm" is not registered', "not-registered"),
    (grpc.StatusCode.PERMISSION_DENIED, "insufficient role: Reader", "wrong-role"),
    (grpc.StatusCode.FAILED_PRECONDITION, "EULA has not been accepted", "eula-not-accepted"),
    (grpc.StatusCode.UNIMPLEMENTED, "unknown service cosi.resource.State", "not-omni"),
    (grpc.StatusCode.UNAVAILABLE, "overloaded", "omni-unreachable"),
]


@pytest.mark.parametrize(("code", "words", "told"), REFUSALS)
def test_refusal_is_told_by_its_code_and_ends_when_omni_takes_it_back(site, code, words, told):
    site.start()
    site.do(lambda o: o.refuse_all(code, words))
    with pytest.raises(OmniError) as caught:
        site.omni.get(KIND, CHANGED)
    assert caught.value.code == told
    time.sleep(0.2)
    assert site.followers.established()  # streams that are open go on
    site.do(lambda o: o.accept(CHANGED))
    wait_until(lambda: site.differences() == [])
    site.do(lambda o: o.end_watches())
    wait_until(lambda: site.code() == told)
    assert site.followers.problem().remedy
    site.change_all()
    site.do(lambda o: o.refuse_none())
    wait_until(lambda: site.followers.established() and site.differences() == [], 30)
