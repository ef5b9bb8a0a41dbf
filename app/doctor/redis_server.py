"""Whether Redis answers, is of a version that we can use, keeps what it is told, and throws nothing away."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from app.bundled_redis import server_binary
from app.doctor.finding import Finding, failed, failed_as_said, ok, skipped, warning
from app.doctor.site import Site, may_be_written
from app.errors import StartError
from app.omni.errors import clean
from app.startup import without_login

# The first one with what our scripts use (ZADD … LT in them, GETEX in Celery's transport).
OLDEST = (6, 2)
# Leases live 30 s by Redis' clock, signs of life are compared with it, and waiting times with this host's.
SKEW_S = 5.0
NEARLY_FULL = 0.9
SAFE_POLICY = "noeviction"
SECTIONS = ("server", "memory", "persistence", "replication", "cluster")
KEEP = "set `appendonly yes`, and `appendfsync everysec`, in its configuration"


@dataclass(frozen=True, slots=True)
class State:
    """What Redis says of itself. ahead_s: how far its clock is ahead of ours; None for what it would not say.

    saves: its points in time for a snapshot, '' for none.
    """

    info: Mapping[str, Any]
    saves: str | None
    ahead_s: float


def look(site: Site) -> Sequence[Finding]:
    """Ask Redis; where `omni-metal run` would start one, and does not run, see whether it could."""
    if site.bundled and site.run_process is None and not _answers(site.redis):
        return not_started(site)
    try:
        state = read(site.redis)
    except (redis.RedisError, ValueError) as error:
        return [no_answer(site, error)]
    return [_named(state, site), *state_findings(state)]


def read(client: redis.Redis) -> State:
    """Ask for all of it. Raises redis.RedisError; ValueError for a URL that it cannot use."""
    asked_s = time.time()
    seconds, micros = client.time()
    answered_s = time.time()
    info = {key: value for section in SECTIONS for key, value in client.info(section).items()}
    ahead_s = int(seconds) + int(micros) / 1_000_000 - (asked_s + answered_s) / 2
    return State(info, _saves(client), ahead_s)


def state_findings(state: State) -> list[Finding]:
    """All that is wrong with a Redis in this state."""
    found = [*_usable(state), *_persistence(state), *_memory(state)]
    if abs(state.ahead_s) > SKEW_S:
        side = "ahead of" if state.ahead_s > 0 else "behind"
        words = f"its clock is {abs(state.ahead_s):.0f} s {side} this host's"
        found.append(warning(words, "set the clocks of all hosts by NTP"))
    return found


def not_started(site: Site) -> list[Finding]:
    """What there is to say before `omni-metal run` has started its Redis."""
    state_dir = site.settings.state_dir
    found = []
    try:
        server_binary()
    except StartError as error:
        found.append(failed_as_said(str(error)))
    if not may_be_written(state_dir):
        remedy = "make it writable for this user, or name another with --state-dir"
        found.append(failed(f"the state directory {state_dir} cannot be written to", remedy))
    words = f"`omni-metal run`, which starts a Redis of its own, does not run in the state directory {state_dir}"
    remedy = "start it; where it runs in another, name that one with --state-dir, and a Redis of yours with --redis-url"
    return [skipped(words, remedy), *found]


def no_answer(site: Site, error: Exception) -> Finding:
    """What it means that Redis does not answer, though it should."""
    reason = clean(str(error).rstrip("."))
    if isinstance(error, redis.AuthenticationError):
        words = f"Redis at {without_login(site.redis_url)} refuses the login ({reason})"
        return failed(words, "correct user and password in --redis-url")
    if not site.bundled:
        words = f"Redis at {without_login(site.redis_url)} does not answer ({reason})"
        return failed(words, "start it, or correct --redis-url; without it `omni-metal run` starts one of its own")
    words = f"the Redis of `omni-metal run` (process {site.run_process}) does not answer at {site.redis_socket}"
    log = site.settings.state_dir / "redis" / "redis.log"
    return failed(f"{words} ({reason})", f"look into {log}, and start `omni-metal run` again")


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _named(state: State, site: Site) -> Finding:
    fork = state.info.get("valkey_version")
    name = f"Valkey {fork}" if fork else f"Redis {state.info.get('redis_version', 'of an unknown version')}"
    used = state.info.get("used_memory_human", "?")
    limit_bytes = int(state.info.get("maxmemory", 0))
    limit = f" of {state.info.get('maxmemory_human', limit_bytes)}" if limit_bytes else ""
    place = site.redis_socket if site.bundled else without_login(site.redis_url)
    return ok(f"{name} at {place}, {used}{limit} used")


def _usable(state: State) -> list[Finding]:
    found = []
    version = tuple(int(part) for part in re.findall(r"\d+", str(state.info.get("redis_version", "")))[:2])
    if version and version < OLDEST:
        words = f"version {state.info['redis_version']} is too old"
        found.append(failed(words, f"use Redis {'.'.join(map(str, OLDEST))} or later, or any Valkey"))
    if state.info.get("role") in ("slave", "replica"):
        found.append(failed("it is a replica, which takes no writes", "name the primary in --redis-url"))
    if int(state.info.get("cluster_enabled", 0)):
        words = "it is a node of a cluster; our scripts use keys that would be on several nodes"
        found.append(failed(words, "use a single node"))
    return found


def _persistence(state: State) -> list[Finding]:
    info = state.info
    appends = bool(int(info.get("aof_enabled", 0)))
    found = []
    broken = "aof_last_write_status" if appends else "rdb_last_bgsave_status"
    if info.get(broken, "ok") != "ok":
        words = "it could not write to disk the last time, and may refuse all writes"
        found.append(failed(words, "see whether its disk is full, and read its log", blocking=False))
    if appends:
        return found
    if state.saves == "":
        words = "no persistence: a restart of it loses the queues, failed attempts and refused BMC logins, history"
        return [*found, failed(words, KEEP, blocking=False)]
    if state.saves is None:
        words = "no append-only file; whether it saves snapshots it does not say (CONFIG is not allowed)"
        return [*found, warning(words, KEEP)]
    words = f"only snapshots ({state.saves!r}), no append-only file: a restart of it may lose minutes"
    return [*found, warning(words, KEEP)]


def _memory(state: State) -> list[Finding]:
    limit_bytes, used_bytes = int(state.info.get("maxmemory", 0)), int(state.info.get("used_memory", 0))
    policy = str(state.info.get("maxmemory_policy", SAFE_POLICY))
    found = []
    if policy != SAFE_POLICY:
        remedy = f"set `maxmemory-policy {SAFE_POLICY}` in its configuration"
        if limit_bytes:
            words = f"eviction policy {policy}: when memory is full, leases and queued tasks are thrown away"
            found.append(failed(words, remedy, blocking=False))
        else:
            found.append(warning(f"eviction policy {policy}, without effect while there is no memory limit", remedy))
    if limit_bytes and used_bytes >= NEARLY_FULL * limit_bytes:
        words = f"{used_bytes / limit_bytes:.0%} of its memory limit is used; a full one refuses all writes"
        remedy = "raise `maxmemory`, and let it serve nothing but the provider"
        found.append(failed(words, remedy, blocking=False))
    return found


def _saves(client: redis.Redis) -> str | None:
    try:
        answer: Any = client.config_get("save")
    except redis.ResponseError:  # as from a Redis that somebody else runs for us
        return None
    return str(answer.get("save", ""))
