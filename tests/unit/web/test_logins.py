"""How often a token may be tried."""

import fakeredis
import pytest

from app.web.logins import TRIES_A_MINUTE, may_try


@pytest.fixture
def client():
    with fakeredis.FakeRedis() as made:
        yield made


def test_address_may_try_ten_times_a_minute_and_holds_up_no_other(client):
    tries = [may_try(client, "10.0.0.1") for _ in range(TRIES_A_MINUTE + 2)]
    assert tries == [True] * TRIES_A_MINUTE + [False] * 2
    assert may_try(client, "10.0.0.2")


def test_tries_are_forgotten_after_a_minute_however_many_there_were(client):
    for _ in range(TRIES_A_MINUTE + 5):
        may_try(client, "10.0.0.1")
    (key,) = client.keys()
    assert 0 < client.ttl(key) <= 60
    client.delete(key)
    assert may_try(client, "10.0.0.1")
