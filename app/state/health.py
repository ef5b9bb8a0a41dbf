"""Whether the parts of the provider are up, from the notes that they keep in Redis."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import redis

from app.state.agents import GATEWAYS
from app.state.connection import as_bytes, now_ms
from app.state.mirror_keys import COMPLETE

WATCHER = "om:watcher:health"
TLS = "om:tls:trouble"
# Whoever serves TLS says again every ten seconds what is wrong.
TLS_S = 30
# Three missed notes of the watcher, which writes one every 3 s.
WATCHER_S = 10
# Two missed renewals of a gateway, which renews every 5 s.
GATEWAY_MS = 12_000


@dataclass(frozen=True, slots=True)
class WatcherHealth:
    """What the active watcher says of itself. problem: what is wrong, or ''.

    code, remedy: a short name of the problem that is the same in every version, and what to do about it.
    watch_lag_s: how long the latest changes took from Omni to the mirror, by both clocks; 0 while nothing changes.
    compared_ago_s: since when the kind that was longest not compared whole has not been.
    tls_problem: why our own certificate authority cannot be used, with the remedy, or ''.
    """

    omni_connected: bool
    problem: str
    watch_lag_s: float = 0.0
    compared_ago_s: float = 0.0
    tls_problem: str = ""
    code: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the parts. tls_problem: why agents cannot come over TLS, where they should, with the remedy."""

    omni_connected: bool
    watcher_alive: bool
    mirror_complete: bool
    gateways: int
    problem: str
    watch_lag_s: float = 0.0
    compared_ago_s: float = 0.0
    tls_problem: str = ""
    code: str = ""
    remedy: str = ""


def note_watcher(client: redis.Redis, health: WatcherHealth) -> None:
    """The active watcher tells how it is."""
    client.set(WATCHER, json.dumps(asdict(health)), ex=WATCHER_S)


def note_tls(client: redis.Redis, host: str, words: str) -> None:
    """Why agents cannot come over TLS to this host, or soon will not be able to; '' where they can."""
    noted = _words_of_host(client.get(TLS))
    if words:
        client.set(TLS, f"{host}\n{words}", ex=TLS_S)
    elif noted and noted[0] == host:  # what another host said is for that one to take back
        client.delete(TLS)


def live_gateways(client: redis.Redis) -> set[str]:
    """The gateways that renewed lately. One far ahead of the clock renewed before that was put back."""
    now = now_ms(client)
    return {as_bytes(g).decode() for g in client.zrangebyscore(GATEWAYS, now - GATEWAY_MS, now + GATEWAY_MS)}


def health(client: redis.Redis) -> Health:
    """The health of all parts. Raises `redis.RedisError`."""
    text, complete, tls = client.mget(WATCHER, COMPLETE, TLS)
    watcher = _watcher(json.loads(text)) if text else None
    noted = _words_of_host(tls)
    tls_problem = (watcher.tls_problem if watcher else "") or (noted[1] if noted else "")
    return Health(
        omni_connected=bool(watcher and watcher.omni_connected),
        watcher_alive=watcher is not None,
        mirror_complete=complete is not None,
        gateways=len(live_gateways(client)),
        problem=watcher.problem if watcher else "no watcher is running",
        code=watcher.code if watcher else "no-watcher",
        remedy=watcher.remedy if watcher else "",
        watch_lag_s=watcher.watch_lag_s if watcher else 0.0,
        compared_ago_s=watcher.compared_ago_s if watcher else 0.0,
        tls_problem=tls_problem,
    )


def _watcher(said: dict[str, Any]) -> WatcherHealth:
    """What a watcher said, of whichever version it is."""
    return WatcherHealth(**{field.name: said[field.name] for field in fields(WatcherHealth) if field.name in said})


def _words_of_host(noted: object) -> tuple[str, str] | None:
    """The host that serves TLS, and what it says is wrong."""
    if noted is None:
        return None
    host, _, words = as_bytes(noted).decode().partition("\n")
    return host, words
