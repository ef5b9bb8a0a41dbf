"""How many requests one address may make: a bucket of tokens for each, in the memory of this process.

It stands before the routing, so that a refused request costs microseconds and no word with Redis, and so that no path
leads around it: what does not exist costs us as much as a boot. The sign of life is free, for those who would end us
without one, and so is who shows the API token. The buckets of a thousand machines behind one NAT are one bucket: the
limit is there for floods, not for racks. Each web process has its part of the limit, since requests are spread over all
of them. This host itself is not limited: a proxy on it speaks for all machines, and whoever else is on it needs no
flood to do harm.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

import redis
import structlog

from app.front.peer import address_of
from app.state.metrics import count_rate_limited
from app.web.access import same_token
from config.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

_FREE: Final = "/healthz"
# Seconds of the rate that a full bucket holds: a rack that boots at once asks some thousand times within seconds.
BURST_S: Final = 10
# Far more addresses than a provisioning network has; some 2 MB. The one that was silent for longest is forgotten.
ADDRESSES: Final = 10_000
# A person who reads the log is to see it, and the rest of the log as well.
SAY_EVERY_S: Final = 60.0
# Prometheus asks every 15 s or so; more often would be a word with Redis for nothing.
COUNT_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request too many. retry_after_s: until the next token; unsaid: refusals to log now, this one too, or 0."""

    retry_after_s: int
    unsaid: int


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float
    unsaid: int = 0
    said_s: float = -math.inf


class Buckets:
    """The tokens of each address."""

    def __init__(self, rate: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Make full buckets. rate: tokens a second, above 0."""
        self._rate, self._clock_s = rate, clock_s
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> Refusal | None:
        """Take a token; the answer says that there was none."""
        with self._lock:
            now_s = self._clock_s()
            bucket = self._filled(key, now_s)
            if bucket.tokens >= 1:
                bucket.tokens -= 1
                return None
            bucket.unsaid += 1
            unsaid = 0
            if now_s - bucket.said_s >= SAY_EVERY_S:
                unsaid, bucket.unsaid, bucket.said_s = bucket.unsaid, 0, now_s
            return Refusal(math.ceil((1 - bucket.tokens) / self._rate), unsaid)

    def _filled(self, key: str, now_s: float) -> _Bucket:
        most = max(1.0, self._rate * BURST_S)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(most, now_s)
            if len(self._buckets) > ADDRESSES:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(key)
        bucket.tokens = min(most, bucket.tokens + (now_s - bucket.filled_s) * self._rate)
        bucket.filled_s = now_s
        return bucket


class RateLimit:
    """A WSGI application that turns away too many requests, and hands all others on."""

    def __init__(self, app: WSGIApplication, buckets: Buckets, count: Callable[[int], None], token: str) -> None:
        """Stand before an application.

        Args:
            app: the application.
            buckets: the tokens of each address.
            count: adds to the number of refusals of all processes; may raise RedisError.
            token: who shows this is not limited; "": nobody can.
        """
        self._app, self._buckets, self._count, self._token = app, buckets, count, token
        self._lock = threading.Lock()
        self._uncounted, self._counted_s = 0, -math.inf

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        address = address_of(environ.get("REMOTE_ADDR", ""))
        free = environ["PATH_INFO"] == _FREE or is_this_host(address) or self._shows_token(environ)
        refusal = None if free else self._buckets.take(bucket_of(address))
        if refusal is None:
            if self._uncounted:
                self._tell_count()
            return self._app(environ, start_response)
        with self._lock:
            self._uncounted += 1
        if refusal.unsaid:
            log.warning("boot_rate_limited", address=address, refused=refusal.unsaid)
        self._tell_count()
        return _refuse(refusal, environ["REQUEST_METHOD"], start_response)

    def _shows_token(self, environ: WSGIEnvironment) -> bool:
        kind, _, shown = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        return bool(self._token) and kind.lower() == "bearer" and same_token(shown, self._token)

    def _tell_count(self) -> None:
        """Have all refusals counted, now and then: whoever comes along then does it for all."""
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._counted_s < COUNT_EVERY_S:
                return
            number, self._uncounted, self._counted_s = self._uncounted, 0, now_s
        try:
            self._count(number)
        except redis.RedisError:
            with self._lock:
                self._uncounted += number


def limited(app: WSGIApplication, settings: Settings, client: redis.Redis) -> WSGIApplication:
    """The application behind the limit of these settings, of which this process has its part."""
    if not settings.boot_rate_limit:
        return app
    buckets = Buckets(settings.boot_rate_limit / settings.web_workers)
    return RateLimit(app, buckets, lambda number: count_rate_limited(client, number), settings.api_token)


def is_this_host(address: str | None) -> bool:
    """Whether a client came over loopback; its address is as the kernel writes it."""
    return address is not None and (address.startswith("127.") or address == "::1")


def bucket_of(address: str | None) -> str:
    """What a client counts by: its IPv4 address, the /64 of its IPv6 one, '' where it is not known."""
    if address is None or ":" not in address:
        return address or ""
    return IPv6Address(address).packed[:8].hex()  # a host with a /64 has as many addresses as it likes


def _refuse(refusal: Refusal, method: str, start_response: StartResponse) -> Iterable[bytes]:
    body = f"too many requests from this address: try again in {refusal.retry_after_s} s\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(refusal.retry_after_s)),
        ("Cache-Control", "no-store"),
    ]
    start_response("429 Too Many Requests", headers)
    return [] if method == "HEAD" else [body]
