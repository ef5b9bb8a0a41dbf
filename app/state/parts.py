"""Which parts of the provider are down, by the signs that they leave in Redis: for Omni's health status.

Workers leave a sign every few seconds, gateways renew their entry (app/state/agents.py), and whoever asks the image
factory in vain says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import redis

from app.state.connection import as_bytes, now_ms
from app.state.health import health

WORKERS: Final = "om:workers"
FACTORY: Final = "om:factory:trouble"
# Three missed signs of a worker, and one more for a busy host.
WORKER_MS: Final = 30_000
# A site that boots nothing asks nothing: its trouble of a while ago says nothing any more.
FACTORY_S: Final = 300
_FORGET_WORKER_MS: Final = 86_400_000


def note_worker(client: redis.Redis, queue: str, host: str) -> None:
    """A worker of this queue takes tasks."""
    now = now_ms(client)
    client.zadd(WORKERS, {f"{queue}@{host}": now})
    client.zremrangebyscore(WORKERS, "-inf", now - _FORGET_WORKER_MS)


def note_factory(client: redis.Redis, words: str) -> None:
    """What the image factory failed with; '' where it has answered."""
    if words:
        client.set(FACTORY, words, ex=FACTORY_S)
    else:
        client.delete(FACTORY)


def live_workers(client: redis.Redis) -> set[str]:
    """The workers that left a sign lately, each as `QUEUE@HOST`."""
    now = now_ms(client)
    return {as_bytes(name).decode() for name in client.zrangebyscore(WORKERS, now - WORKER_MS, now + WORKER_MS)}


def parts_down(client: redis.Redis, queues: Iterable[str]) -> list[str]:
    """Words about each part that is down, in the order of how much it keeps from being done."""
    served = {name.partition("@")[0] for name in live_workers(client)}
    down = [
        f"no worker for the queue {queue}: start `omni-metal worker {queue}`" for queue in queues if queue not in served
    ]
    found = health(client)
    if not found.gateways:
        down.append("no gateway: agents cannot connect")
    if found.tls_problem:
        down.append(f"TLS: {found.tls_problem}")
    trouble = client.get(FACTORY)
    if trouble is not None:
        down.append(as_bytes(trouble).decode())
    return down
