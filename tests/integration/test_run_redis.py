"""The bundled Redis: started, found again, marked as fresh once, and clear where it cannot start."""

import os
import signal
import time

import pytest
import redis

from app.bundled_redis import BundledRedis, server_binary
from app.errors import StartError
from app.state.mirror_keys import FRESH
from tests.integration.children import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path):
    """Make a server of this test's state directory; it is killed at the end."""
    made = []

    def make():
        made.append(BundledRedis(tmp_path / "state", tmp_path, os.environ))
        return made[-1]

    yield make
    for one in made:
        one.child.kill()


def client(server):
    return redis.Redis.from_url(server.url)


def wait_until_written(connection):
    try:
        connection.execute_command("WAITAOF", 1, 0, 2000)
    except redis.ResponseError:  # before 7.2; it writes every second, and later only while a disk hangs
        time.sleep(2)


def test_empty_directory_is_marked_fresh_and_data_survive_a_kill(server):
    first = server()
    first.start()
    with client(first) as connection:
        assert connection.get(FRESH) == b"1"
        connection.delete(FRESH)
        connection.set("kept", "yes")
        wait_until_written(connection)
    first.child.kill()
    second = server()
    second.start()
    with client(second) as connection:
        assert connection.get("kept") == b"yes"
        assert connection.get(FRESH) is None


def test_server_never_forgets_and_writes_each_second(server):
    one = server()
    one.start()
    with client(one) as connection:
        found = connection.config_get("appendonly", "appendfsync", "maxmemory-policy", "port")
    assert found == {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "port": "0"}


def test_asked_to_end_it_ends_within_its_time(server):
    one = server()
    one.start()
    one.child.terminate()
    wait_until(lambda: not one.child.runs, timeout_s=2)
    assert not one.socket.exists()


def test_dead_server_is_started_again_with_its_data(server):
    one = server()
    one.start()
    with client(one) as connection:
        connection.set("kept", "yes")
        wait_until_written(connection)
    os.kill(one.child.pid, signal.SIGKILL)
    wait_until(lambda: not one.child.runs)

    def answers():
        assert one.child.look_after() == ""
        try:
            with client(one) as connection:
                return connection.get("kept")
        except redis.RedisError:
            return None

    assert wait_until(answers) == b"yes"


def test_broken_data_are_named_with_the_remedy(server, tmp_path):
    folder = tmp_path / "state" / "redis" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(StartError) as caught:
        server().start()
    assert str(folder.parent) in str(caught.value)
    assert "move the folder away" in str(caught.value)


def test_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StartError, match="cannot be started in"):
        server().start()


def test_installed_server_is_preferred(tmp_path, monkeypatch):
    installed = tmp_path / "redis-server"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server_binary() == str(installed)
    installed.unlink()
    assert server_binary().endswith("valkey-server")
