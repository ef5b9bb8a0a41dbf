"""`/healthz`: this process lives. `/readyz`: it can answer boots and is worth sending machines to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import redis
from flask import Blueprint, Response, jsonify

from app.state.health import Health
from app.state.health import health as read_health
from app.web.services import Services


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the answer. Where `required` and not `ok`, we are not ready.

    code, remedy: of what is wrong, a short name that is the same in every version, and what to do about it.
    """

    name: str
    ok: bool
    words: str
    required: bool = True
    code: str = ""
    remedy: str = ""


_MIRROR: Final = Check(
    "mirror",
    ok=False,
    words="not complete: boots are answered with 503 until it is",
    code="mirror-incomplete",
    remedy="It fills by itself once a watcher reaches Omni.",
)
_WATCHER: Final = Check(
    "watcher",
    ok=False,
    words="no watcher is alive: nothing is decided or begun",
    code="no-watcher",
    remedy="Start `omni-metal watcher`, or look at its log.",
)
_GATEWAYS: Final = Check(
    "gateways",
    ok=False,
    words="none alive: agents cannot connect",
    required=False,
    code="no-gateway",
    remedy="Start `omni-metal gateway`, or look at its log.",
)


def blueprint(services: Services) -> Blueprint:
    """The two probes; both are open to all and tell nothing of machines."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @routes.get("/readyz")
    def readyz() -> Response:
        return _answer(_checks(services))

    return routes


def _checks(services: Services) -> list[Check]:
    try:
        found = read_health(services.redis)
    except redis.RedisError as error:
        words, remedy = f"does not answer: {type(error).__name__}", "Is it running, and is --redis-url right?"
        return [Check("redis", ok=False, words=words, code="redis-unreachable", remedy=remedy)]
    return [Check("redis", ok=True, words="answers"), *_known(found)]


def _known(found: Health) -> list[Check]:
    """Omni and the gateways are told but not required: boots are answered from the mirror while Omni is away."""
    return [
        _part(found.mirror_complete, "complete", _MIRROR),
        _part(found.watcher_alive, "alive", _WATCHER),
        _omni(found),
        _part(found.gateways > 0, f"{found.gateways} alive", _GATEWAYS),
        *([_tls(found.tls_problem)] if found.tls_problem else []),
    ]


def _part(good: bool, words: str, otherwise: Check) -> Check:  # noqa: FBT001 - a fact, not a switch
    return Check(otherwise.name, ok=True, words=words, required=otherwise.required) if good else otherwise


def _omni(found: Health) -> Check:
    if found.omni_connected and not found.problem:
        return Check("omni", ok=True, words="connected", required=False)
    words = found.problem or "not connected"
    return Check("omni", ok=False, words=words, required=False, code=found.code, remedy=found.remedy)


def _tls(problem: str) -> Check:
    return Check("tls", ok=False, words=problem, required=False, code="tls")


def _answer(checks: list[Check]) -> Response:
    ready = all(check.ok for check in checks if check.required)
    response = jsonify(
        status="ready" if ready else "not ready",
        checks={check.name: _shown(check) for check in checks},
    )
    response.status_code = 200 if ready else 503
    return response


def _shown(check: Check) -> dict[str, object]:
    shown = asdict(check)
    del shown["name"]
    return shown
