"""`/healthz`: this process lives. `/readyz`: it can answer boots and is worth sending machines to."""

from __future__ import annotations

from dataclasses import dataclass

import redis
from flask import Blueprint, Response, jsonify

from app.state.health import Health
from app.state.health import health as read_health
from app.web.services import Services


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the answer. Where `required` and not `ok`, we are not ready."""

    name: str
    ok: bool
    words: str
    required: bool = True


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
        return [Check("redis", ok=False, words=f"does not answer: {type(error).__name__}")]
    return [Check("redis", ok=True, words="answers"), *_known(found)]


def _known(found: Health) -> list[Check]:
    """Omni and the gateways are told but not required: boots are answered from the mirror while Omni is away."""
    return [
        Check(
            "mirror",
            found.mirror_complete,
            "complete" if found.mirror_complete else "not complete: boots are answered with 503 until it is",
        ),
        Check(
            "watcher",
            found.watcher_alive,
            "alive" if found.watcher_alive else "no watcher is alive: nothing is decided or begun",
        ),
        Check(
            "omni",
            found.omni_connected,
            found.problem or ("connected" if found.omni_connected else "not connected"),
            required=False,
        ),
        Check(
            "gateways",
            found.gateways > 0,
            f"{found.gateways} alive" if found.gateways else "none alive: agents cannot connect",
            required=False,
        ),
        *([Check("tls", ok=False, words=found.tls_problem, required=False)] if found.tls_problem else []),
    ]


def _answer(checks: list[Check]) -> Response:
    ready = all(check.ok for check in checks if check.required)
    response = jsonify(
        status="ready" if ready else "not ready",
        checks={check.name: {"ok": check.ok, "words": check.words, "required": check.required} for check in checks},
    )
    response.status_code = 200 if ready else 503
    return response
