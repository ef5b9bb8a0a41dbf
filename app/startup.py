"""What `omni-metal run` looks at before it starts anything."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.errors import StartError
from app.omni.account import read_account
from app.omni.endpoint import parse_endpoint
from app.ports import check_free
from config.addresses import split_address
from config.settings import Settings

log = structlog.get_logger()

# A Redis that is up answers in milliseconds, also from another room; this is for a host that does not answer at all.
REDIS_TIMEOUT_S: Final = 3.0
# Only a hint for the person who looks on: the watcher keeps trying, so it is not worth a long wait.
OMNI_TIMEOUT_S: Final = 1.0
# Whoever renews keys may be on holiday; a key is good for a year.
KEY_ENDS_SOON: Final = timedelta(days=30)


def check_ports(settings: Settings) -> None:
    """Raise StartError unless our ports are free."""
    check_free(settings.api_listen_address, settings.api_port, "--api-port")
    if settings.tls_enabled:
        check_free(settings.api_listen_address, settings.tls_api_port, "--tls-api-port")
    check_free(*split_address(settings.gateway_listen), "--gateway-listen")
    if not settings.disable_flower:
        check_free(*split_address(settings.flower_listen), "--flower-listen")


def check_redis(settings: Settings) -> None:
    """Raise StartError unless the Redis of `--redis-url` answers."""
    try:
        with redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        reason, remedy = redis_trouble(error)
        raise StartError(
            f"Redis at {without_login(settings.redis_url)} {reason}; {remedy}, or leave --redis-url out to have one "
            "started here"
        ) from None


def redis_trouble(error: Exception) -> tuple[str, str]:
    """What is wrong with a Redis that answered a first command with this, and the remedy."""
    said = str(error).partition("\n")[0].rstrip(".")
    if isinstance(error, redis.AuthenticationError):
        # Redis speaks of HELLO, or of what is required, where none was given.
        wrong = said.startswith("invalid")
        reason = "refuses the login: wrong user or password" if wrong else "asks for a login"
        return reason, "correct user and password in --redis-url"
    if isinstance(error, redis.BusyLoadingError):
        return "reads its data still", "wait until it has"
    if isinstance(error, redis.InvalidResponse):
        return f"is no Redis ({said})", "correct --redis-url"
    if isinstance(error, redis.ResponseError):
        return f"refuses ({said})", "correct --redis-url, or what that Redis allows"
    return f"does not answer ({said})", "start it, or correct --redis-url"


def say_what_is_missing(settings: Settings) -> None:
    """Log what will not work; none of it keeps the program from starting."""
    say_when_the_key_ends(settings)
    endpoint = parse_endpoint(settings.omni_api_endpoint)
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=OMNI_TIMEOUT_S).close()
    except OSError as error:
        log.warning(
            "omni_unreachable",
            endpoint=settings.omni_api_endpoint,
            reason=error.strerror or str(error),
            remedy="check --omni-api-endpoint (OMNI_ENDPOINT); going on, and trying again until it answers",
        )


def say_when_the_key_ends(settings: Settings) -> None:
    """Log a warning where the service account key has few days left."""
    expires_at = read_account(settings.service_account_key).expires_at if settings.service_account_key else None
    if expires_at is not None and expires_at - datetime.now(UTC) < KEY_ENDS_SOON:
        log.warning(
            "service_account_key_expires_soon",
            expires_at=expires_at.isoformat(),
            remedy=f"run `omnictl infraprovider renewkey {settings.id}` and start with the new key; this one stays "
            "good until then",
        )


def without_login(url: str) -> str:
    """Return a URL without user name, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
