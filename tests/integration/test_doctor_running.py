"""The doctor beside a provider that runs: all of it well, and parts of it frozen, missing or somebody else's."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import redis

from app.ports import holder_of
from app.state.health import WATCHER
from app.state.metrics import QUEUES
from app.state.parts import live_workers
from tests.integration.children import MARK, marked_processes, wait_until
from tests.integration.doctor_place import doctor, redis_server
from tests.integration.whole_site import WholeSite, free_port

pytestmark = pytest.mark.integration

STARTED_S = 60  # two busy cores
# The watcher's note lives 10 s.
UNSEEN_S = 20


class Asked:
    """A site, and the doctor asked with its options."""

    def __init__(self, site):
        self.site = site

    def doctor(self, *options):
        return doctor(*self.site.options, *options, environ=self.site.environ)

    @contextmanager
    def frozen(self, process):
        self.site.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            self.site.kill(process, signal.SIGCONT)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with WholeSite(tmp_path_factory.mktemp("site"), flower=True, machines=1, secure=True) as site:
        os.utime(site.settings.state_dir / "lock", (0, 0))  # it is older than it looks
        wait_until(lambda: len(live_workers(site.redis)) == len(QUEUES) and holder_of(site.flower_port), STARTED_S)
        yield Asked(site)


def test_provider_that_runs_well_is_well(running):
    before = keys_of_others(running.site.redis)
    told = running.doctor()
    assert told.status == 0, told.text
    # The lab's is the loopback, and its machines start iPXE themselves.
    assert {name for name in told.checks if told[name] != "ok"} == {"address", "netboot", "ipxe"}
    assert re.search(r"bmc: bmc@\S+, 0 tasks wait; poll: poll@\S+, .*; wipe: wipe@\S+, 0", shown(told, "queues"))
    for part in ("watcher follows Omni", "gateway lives", "web answers", "beat lives"):
        assert part in shown(told, "processes")
    assert shown(told, "ports").count("is held by our own") == 3
    assert keys_of_others(running.site.redis) <= before


def keys_of_others(client):
    """What Celery keeps of tasks; our own keys come and go while the provider runs, and so do those who listen."""
    return {key for key in client.scan_iter() if not key.startswith((b"om:", b"_kombu.binding."))}


def test_provider_that_has_just_started_has_failed_in_nothing_yet(running):
    lock = running.site.settings.state_dir / "lock"
    os.utime(lock)
    try:
        with running.frozen("worker poll"):
            told = running.doctor()
    finally:
        os.utime(lock, (0, 0))
    assert told.status == 0
    assert told["queues"] == "warning"
    assert "has just started" in told.words("queues")


def shown(told, check):
    return "; ".join(told.words(check).splitlines())


@pytest.mark.parametrize("queue", ["bmc", "wipe"])
def test_worker_that_is_frozen_is_said(running, queue):
    with running.frozen(f"worker {queue}"):
        told = running.doctor()
    assert told.failed() == ["queues"]
    assert f"{queue}: {queue}@" in told.words("queues")
    assert "lives but does not answer" in told.words("queues")
    assert "start it again" in told.remedies("queues")


def test_watcher_that_is_frozen_is_said(running):
    with running.frozen("watcher"):
        wait_until(lambda: not running.site.redis.exists(WATCHER), UNSEEN_S)
        told = running.doctor()
    assert told.failed() == ["processes"]
    assert "watcher: none is alive" in told.words("processes")
    assert "omni-metal watcher" in told.remedies("processes")
    wait_until(lambda: running.site.redis.exists(WATCHER), UNSEEN_S)


def test_web_that_is_frozen_is_said(running):
    with running.frozen("web"):
        told = running.doctor()
    assert told.failed() == ["processes", "address"]
    assert "web: it does not answer" in told.words("processes")


def test_provider_of_another_state_directory_is_told_from_ours(running, tmp_path):
    told = running.doctor(f"--state-dir={tmp_path}")
    assert told.failed() == ["registration", "ports"]
    assert "another provider runs under this id" in told.words("registration")
    process = running.site.process.pid
    assert f"another `omni-metal run` (process {process}), of another state directory" in told.words("ports")
    assert "name its --state-dir" in told.remedies("ports")
    assert told["redis"] == "skipped"


def test_omni_that_goes_away_is_said_by_both(running):
    thread = running.site.thread
    thread.wait(thread.rack.stop_omni)
    try:
        wait_until(lambda: b'"omni_connected": false' in (running.site.redis.get(WATCHER) or b""), UNSEEN_S)
        told = running.doctor()
    finally:
        thread.wait(thread.rack.start_omni)
    assert told.failed() == ["omni", "processes"]
    assert "watcher: it does not follow Omni" in told.words("processes")


def test_watcher_alone_all_else_is_missed(running, tmp_path):
    """A site of containers of which one alone runs, with a Redis of its own."""
    with redis_server(tmp_path, "--appendonly", "yes") as url, redis.Redis.from_url(url) as client:
        options = [
            *running.site.options,
            f"--state-dir={tmp_path / 'state'}",
            f"--redis-url={url}",
            "--force-takeover",
            f"--api-port={free_port()}",
            f"--gateway-listen=127.0.0.1:{free_port()}",
            "--disable-flower",
        ]
        with process("watcher", options, running.site.environ, tmp_path):
            wait_until(lambda: client.exists(WATCHER), STARTED_S)
            told = doctor(*options, environ=running.site.environ)
    assert told.failed() == ["queues", "processes"]
    for queue in ("bmc", "poll", "wipe"):
        assert f"{queue}: no worker, 0 tasks wait" in told.words("queues")
        assert f"start `omni-metal worker {queue}`" in told.remedies("queues")
    assert "gateway: none is alive" in told.words("processes")
    assert "web: it does not answer" in told.words("processes")
    assert told["ports"] == "ok"


@contextmanager
def process(command, options, environ, folder):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_")}
    with (folder / "log").open("w") as log:
        started = subprocess.Popen(
            [sys.executable, "-P", "-m", "app.cli", command, *options],
            env={**clean, **environ, MARK: str(folder)},
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            started.terminate()
            started.wait(20)
    wait_until(lambda: not {pid for pid, line in marked_processes(folder).items() if "app.cli" in line})
