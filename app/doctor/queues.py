"""Whether workers take tasks of each queue: asked through Redis, by the way that Celery has for that."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from app.doctor.finding import Finding, failed, ok, skipped, warning, while_starting
from app.doctor.site import Site
from app.state.health import health as read_health
from app.state.health import live_gateways
from app.state.metrics import QUEUES, Queue
from app.state.metrics import read as read_counted
from app.state.parts import live_workers
from workers.celery_app import app, use_redis

# A worker answers in milliseconds; on a host that has just started everything it may take seconds.
PING_TIMEOUT_S = 6.0
# Of those that have answered nothing is known to be missing; others are waited for this long.
STRANGERS_S = 1.0
# A worker takes a task at once while it has a place free.
WAITS_TOO_LONG_S = 60.0
NOTHING_RUNS = "no process of the provider runs with this Redis yet"


def look(site: Site) -> Sequence[Finding]:
    """Ask all workers, and see what waits for them."""
    if not (anything_runs(site) or site.run_process):
        return [skipped(NOTHING_RUNS)]
    signs = live_workers(site.redis)
    waiting = read_counted(site.redis, int(time.time() * 1000)).queues
    answered = ping(site, signs)
    found = [finding for queue in QUEUES for finding in queue_findings(queue, signs, answered, waiting)]
    return while_starting(found) if site.just_started else found


def anything_runs(site: Site) -> bool:
    """Whether a worker, a gateway or a watcher has left a sign lately. Raises redis.RedisError."""
    return bool(live_workers(site.redis) or live_gateways(site.redis) or read_health(site.redis).watcher_alive)


def ping(site: Site, known: Collection[str]) -> set[str]:
    """The workers that answer, each as `QUEUE@HOST`. known: those that are expected to."""
    use_redis(site.redis_url)
    with app.connection_for_write() as connection:
        replies: Sequence[Mapping[str, Any]] = app.control.broadcast(
            "ping",
            reply=True,
            timeout=PING_TIMEOUT_S if known else STRANGERS_S,
            limit=len(known) or None,  # all known ones have answered: there is nobody else to wait for
            connection=connection,
        )
    return {name for reply in replies or () for name in reply}


def queue_findings(
    queue: str, signs: Collection[str], answered: Collection[str], waiting: Mapping[str, Queue]
) -> Sequence[Finding]:
    """How one queue stands.

    Args:
        queue: its name.
        signs: the workers that have left a sign of life lately.
        answered: the workers that answered just now.
        waiting: the tasks that nobody has taken yet, by queue.
    """
    prefix = f"{queue}@"
    there = sorted(name for name in answered if name.startswith(prefix))
    silent = sorted(name for name in set(signs) - set(answered) if name.startswith(prefix))
    load = waiting.get(queue, Queue(0, 0.0))
    tasks = f"{load.depth} {'task waits' if load.depth == 1 else 'tasks wait'}"
    if not there and not silent:
        words = f"{queue}: no worker, {tasks}"
        return [failed(words, f"start `omni-metal worker {queue}`, or read in its log why it ended")]
    if not there:
        words = f"{queue}: {', '.join(silent)} lives but does not answer, {tasks}"
        return [failed(words, "see whether its host is overloaded and reads its Redis; then start it again")]
    found = [ok(f"{queue}: {', '.join(there)}, {tasks}")]
    if silent:
        words = f"{queue}: {', '.join(silent)} does not answer; others do"
        found.append(warning(words, "see whether its host is overloaded; it may just have been stopped"))
    if load.depth and (load.oldest_s or 0) > WAITS_TOO_LONG_S:
        words = f"{queue}: the first of {load.depth} waiting tasks has waited for {load.oldest_s:.0f} s"
        found.append(warning(words, f"all places are taken: start more workers of {queue}, on other hosts"))
    return found
