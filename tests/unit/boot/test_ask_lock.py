"""One process asks the factory; the others wait, or hear how it failed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.boot.ask_lock import AskLock
from app.boot.errors import FactoryRefused, FactoryUnavailable
from tests.unit.boot.fake_redis import FakeRedis


def lock(client: FakeRedis | None) -> AskLock:
    return AskLock(cast(Any, client), "k", lifetime_s=15.0)


def test_second_holder_gets_it_only_after_release() -> None:
    client = FakeRedis()
    first, second = lock(client), lock(client)
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()


def test_release_by_another_holder_changes_nothing() -> None:
    client = FakeRedis()
    first, second = lock(client), lock(client)
    assert first.take()
    second.release()
    assert not second.take()


@pytest.mark.parametrize("error", [FactoryUnavailable("answered 503: busy"), FactoryRefused("no such: extension")])
def test_failure_is_told_to_the_others_in_its_words(error: FactoryUnavailable | FactoryRefused) -> None:
    client = FakeRedis()
    first, second = lock(client), lock(client)
    assert first.take()
    first.fail(error, 5.0)
    with pytest.raises(type(error), match=str(error)):
        second.take()


def test_failure_is_forgotten_after_its_time() -> None:
    client = FakeRedis()
    first = lock(client)
    assert first.take()
    first.fail(FactoryUnavailable("gone"), 0.001)
    client.values = {key: (value, 0.0) for key, (value, _) in client.values.items()}
    assert lock(client).take()


def test_redis_down_lets_everybody_ask() -> None:
    client = FakeRedis()
    client.down = True
    first, second = lock(client), lock(client)
    assert first.take()
    assert second.take()
    first.release()


def test_single_process_needs_no_redis() -> None:
    alone = lock(None)
    assert alone.take()
    alone.fail(FactoryUnavailable("gone"), 5.0)
    assert lock(None).take()
