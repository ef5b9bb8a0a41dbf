"""A channel to Redis uses one client, as long as its pool is the same."""

import pytest
import redis

from workers.celery_app import app
from workers.transport import OneClientChannel


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "redis+socket:///none.sock"])
def test_each_way_to_redis_has_such_channels(url):
    assert app.connection_for_write(url).get_transport_cls().Channel is OneClientChannel


@pytest.fixture
def channel(monkeypatch):
    made = OneClientChannel.__new__(OneClientChannel)
    made._pool = made._async_pool = None
    made.Client = redis.Redis
    monkeypatch.setattr(made, "_get_pool", lambda asynchronous=False: redis.ConnectionPool())
    return made


def test_client_is_kept_until_the_pool_is_another(channel):
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as again:
        assert first is again
    channel._pool = None  # what a lost connection does
    with channel.conn_or_acquire() as other:
        assert other is not first
        assert other.connection_pool is channel.pool
