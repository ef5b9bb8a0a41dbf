"""One BMC, several processes and a real Redis: they take turns, whatever becomes of one of them."""

import os
import subprocess
import sys
from itertools import pairwise

import pytest
import redis

from app.bundled_redis import BundledRedis
from tests.integration.bmc_user import PLACE
from tests.integration.children import MARK, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def site(tmp_path):
    server = BundledRedis(tmp_path / "redis", tmp_path, os.environ)
    server.start()
    site = Site(server.url, tmp_path)
    try:
        yield site
    finally:
        for child in site.children:
            child.kill()
            child.communicate()
        site.redis.close()
        server.child.kill()


class Site:
    """A Redis, and processes that use one BMC."""

    def __init__(self, url, folder):
        self.url, self.folder, self.children = url, folder, []
        self.redis = redis.Redis.from_url(url)

    def start(self, what, kind="api", sessions=0):
        command = [sys.executable, "-m", "tests.integration.bmc_user", self.url, what, kind, str(sessions)]
        environ = {**os.environ, MARK: str(self.folder)}
        child = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.children.append(child)
        return child

    def hold(self):
        """A process that has the BMC, and powers it on at a word."""
        child, before = self.start("hold"), self.redis.llen("said")
        wait_until(lambda: self.redis.llen("said") > before, 30)
        return child

    def sessions(self):
        """When each session began and ended, in the order of their ends."""
        return [tuple(map(float, entry.split())) for entry in self.redis.lrange("sessions", 0, -1)]


def test_threads_of_two_processes_never_use_a_bmc_at_the_same_time(site):
    children = [site.start("use", sessions=8) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert len(site.sessions()) == 2 * 3 * 8
    assert site.redis.get("too-many") is None
    assert not site.redis.exists(PLACE)


def test_ipmi_is_let_rest_between_sessions_of_different_processes(site):
    children = [site.start("use", "ipmi", sessions=2) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    sessions = site.sessions()
    assert len(sessions) == 2 * 3 * 2
    # The pause begins when the lease is given back, right after the stand-in notes its end.
    assert min(later[0] - earlier[1] for earlier, later in pairwise(sessions)) >= 0.2


def test_killed_users_bmc_is_had_by_the_next_one_once_its_lease_is_over(site):
    first = site.hold()
    first.kill()
    second = site.start("use", sessions=1)
    wait_until(lambda: site.redis.exists(PLACE))
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.5)
    assert 20_000 < site.redis.pttl(PLACE) <= 30_000
    site.redis.pexpire(PLACE, 300)  # instead of waiting for it
    assert second.wait(30) == 0
    assert len(site.sessions()) == 3


def test_user_that_stood_still_for_too_long_sends_nothing_once_another_has_the_bmc(site):
    first = site.hold()
    site.redis.delete(PLACE)  # its time is over
    second = site.hold()
    first.communicate("\n", timeout=30)
    assert b"somebody else uses the BMC" in site.redis.lindex("said", -1)
    assert site.redis.get("power-ons") is None
    second.communicate("\n", timeout=30)
    assert site.redis.get("power-ons") == b"1"
    assert not site.redis.exists(PLACE)
