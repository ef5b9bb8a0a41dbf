"""How far this clock is off Omni's: Omni refuses what was signed more than five minutes before or after its own time.

All faults of a signature look the same to the caller, and a wrong clock is the usual one; so the local time is
compared with the `date` header of a plain HTTP answer from the same endpoint.
"""

from __future__ import annotations

import http.client
import threading
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from app.omni.endpoint import Endpoint, parse_endpoint
from app.omni.trust import ssl_context

# Only for the words of an error that is reported anyway: not worth a long wait.
TIMEOUT_S = 3.0
# The header is of whole seconds, and an answer takes its time: less says nothing.
WORTH_SAYING_S = 5.0
# Omni refuses from here on.
ALLOWED_S = 300.0
# All watches and tasks are refused at once; one look is enough for them.
COMPARED_FOR_S = 60.0


def clock_skew_s(endpoint: str, *, skip_verify: bool = False, timeout_s: float = TIMEOUT_S) -> float | None:
    """Seconds that this clock is ahead of the server's (negative: behind); None where it cannot be found out.

    Args:
        endpoint: `--omni-api-endpoint`.
        skip_verify: do not verify the server's certificate.
        timeout_s: how long the server may take for each step of its answer.

    Raises:
        EndpointInvalid: there is no such endpoint.
    """
    connection = _connection(parse_endpoint(endpoint), timeout_s, skip_verify=skip_verify)
    try:
        connection.connect()
        asked_s = time.time()
        connection.request("HEAD", "/")
        date = connection.getresponse().headers.get("date")
        answered_s = time.time()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    server_s = _seconds(date)
    return None if server_s is None else (asked_s + answered_s) / 2 - server_s


class ClockComparison:
    """Compares the clocks for whoever was refused, at most once a minute. For any number of threads."""

    def __init__(self, endpoint: str, *, skip_verify: bool = False) -> None:
        self._endpoint, self._skip_verify = endpoint, skip_verify
        self._lock = threading.Lock()
        self._again_at_s = 0.0
        self._skew_s: float | None = None

    def skew_s(self) -> float | None:
        """`clock_skew_s`, as it was less than a minute ago."""
        with self._lock:
            if time.monotonic() >= self._again_at_s:
                self._skew_s = clock_skew_s(self._endpoint, skip_verify=self._skip_verify)
                self._again_at_s = time.monotonic() + COMPARED_FOR_S
            return self._skew_s


def too_far(skew_s: float | None) -> bool:
    """Whether the clocks differ so much that this is why Omni refuses a signature."""
    return skew_s is not None and abs(skew_s) > ALLOWED_S - WORTH_SAYING_S


def skew_words(skew_s: float | None) -> str:
    """`this clock is 400 s ahead of Omni's (it allows 300 s)`; '' where that is not known, or too little to matter."""
    if skew_s is None or abs(skew_s) < WORTH_SAYING_S:
        return ""
    side = "ahead of" if skew_s > 0 else "behind"
    return f"this clock is {abs(skew_s):.0f} s {side} Omni's (it allows {ALLOWED_S:.0f} s)"


def _connection(place: Endpoint, timeout_s: float, *, skip_verify: bool) -> http.client.HTTPConnection:
    if place.secure:
        context = ssl_context(skip_verify=skip_verify)
        return http.client.HTTPSConnection(place.host, place.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(place.host, place.port, timeout=timeout_s)


def _seconds(date: str | None) -> float | None:
    """The time in a `date` header, at the middle of its second."""
    try:
        return parsedate_to_datetime(date or "").replace(tzinfo=UTC).timestamp() + 0.5
    except ValueError:
        return None
