"""The mirror follows the COSI runtime through every break, and is then as if there had been none."""

import pytest
import redis

from app.omni.client import Omni
from app.omni.kinds import PICTURE_KINDS, Kind
from app.state.mirror import Mirror
from app.state.secrets import sealer
from app.state.wake import Alarms
from app.watcher.echoes import Echoes
from app.watcher.follow import Followers
from config.settings import Settings
from protos.gen.omni import specs_pb2
from tests.integration.agents_site import redis_server
from tests.integration.children import wait_until
from tests.interop.go_omni import PROVIDER

pytestmark = pytest.mark.interop

A, B, C = (f"5d8b1f0e-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
MACHINE = Kind.INFRA_MACHINE
# More changes than the state server keeps for a watcher that lags behind.
FLOOD = 200
# The longest pause before a watch begins anew is 10 s; the first ones are shorter.
LIMIT_S = 20


@pytest.fixture(scope="module")
def store():
    with redis_server() as running, redis.Redis.from_url(running.url) as client:
        yield client


@pytest.fixture
def mirror(store, tmp_path):
    store.flushall()
    settings = Settings(omni_api_endpoint="http://127.0.0.1:1", id=PROVIDER, state_dir=tmp_path)
    return Mirror(store, sealer(settings))


@pytest.fixture
def followers(server, store, mirror):
    with Omni(server.endpoint, PROVIDER) as omni:
        running = Followers(omni, mirror, Alarms(store), Echoes())
        yield running
        running.stop()
        for follower in running._followers:
            follower._thread.join(LIMIT_S)


def machine(wipe_id):
    return specs_pb2.InfraMachineSpec(wipe_id=wipe_id)


def same(server, mirror):
    """Whether the mirror has exactly what the server has, of all kinds."""
    for kind in PICTURE_KINDS:
        for machine_id in (A, B, C):
            stored, mirrored = server.get(kind, machine_id), mirror.resource(kind, machine_id)
            if (mirrored.raw if mirrored else None) != stored:
                return False
    return True


def test_what_stands_at_the_start_and_what_changes_later_is_mirrored(server, mirror, followers):
    for kind in PICTURE_KINDS:
        server.create(kind, A)
    followers.start()
    wait_until(followers.established, LIMIT_S)
    wait_until(lambda: same(server, mirror))
    server.create(MACHINE, B)
    server.update(MACHINE, A, machine("w1"), labels={"x": "y"})
    server.destroy(Kind.WIPE_STATUS, A)
    wait_until(lambda: same(server, mirror))
    assert mirror.resource(MACHINE, A).spec.wipe_id == "w1"
    assert mirror.resource(Kind.WIPE_STATUS, A) is None


def test_what_changed_while_the_server_was_away_is_made_good(server, mirror, followers):
    for machine_id in (A, B):
        server.create(MACHINE, machine_id)
    followers.start()
    wait_until(lambda: followers.established() and same(server, mirror), LIMIT_S)
    server.stop()
    wait_until(lambda: not followers.established())
    assert mirror.resource(MACHINE, A)
    server.update(MACHINE, A, machine("w1"))
    server.destroy(MACHINE, B)
    server.create(MACHINE, C)
    server.start()
    wait_until(lambda: followers.established() and same(server, mirror), LIMIT_S)
    assert mirror.resource(MACHINE, B) is None


def test_connection_that_breaks_again_and_again_loses_nothing(server, mirror, followers):
    server.create(MACHINE, A)
    followers.start()
    wait_until(followers.established, LIMIT_S)
    for number in range(3):
        server.drop()
        server.update(MACHINE, A, machine(f"w{number}"))
        wait_until(lambda: followers.established() and same(server, mirror), LIMIT_S)


def test_watch_that_is_told_an_error_begins_anew(server, mirror, followers):
    server.create(MACHINE, A)
    followers.start()
    wait_until(lambda: followers.established() and same(server, mirror), LIMIT_S)
    server.hold()
    server.update(MACHINE, A, machine("w"), times=FLOOD)
    server.release()
    server.create(MACHINE, B)
    wait_until(lambda: followers.established() and same(server, mirror), LIMIT_S)
    assert mirror.resource(MACHINE, A).version == FLOOD + 1


def test_server_that_lost_its_data_empties_the_mirror(server, mirror, followers):
    for machine_id in (A, B):
        server.create(MACHINE, machine_id)
    followers.start()
    wait_until(lambda: followers.established() and same(server, mirror), LIMIT_S)
    server.stop()
    server.forget()
    server.start()
    server.create(MACHINE, A)
    wait_until(lambda: followers.established() and same(server, mirror), LIMIT_S)
    assert mirror.resource(MACHINE, B) is None
    assert mirror.resource(MACHINE, A).version == 1
