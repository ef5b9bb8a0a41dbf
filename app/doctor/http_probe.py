"""Ask a port of ours over HTTP, as firmware does, and see whether it is we who answer."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

# The probes are answered from Redis in milliseconds; two slow cores that start everything take longer.
TIMEOUT_S = 3.0
READ_BYTES = 65_536
# The `status` in what `/healthz` and `/readyz` answer.
OUR_WORDS = ("alive", "ready", "not ready")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. content: the JSON object of the body, or nothing.

    error: why nothing came back, or ''; refused: because nothing listens there.
    """

    status: int = 0
    content: dict[str, Any] | None = None
    error: str = ""
    refused: bool = False

    @property
    def ours(self) -> bool:
        """Whether it is the answer of a `web` process of ours."""
        return self.content is not None and self.content.get("status") in OUR_WORDS


def ask(host: str, port: int, path: str) -> Answer:
    """Get a page, straight and never through a proxy: machines have none."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Answer(response.status, _content(response.read(READ_BYTES)))
    except (OSError, http.client.HTTPException) as error:
        return Answer(error=_reason(error), refused=isinstance(error, ConnectionRefusedError))
    finally:
        connection.close()


def _content(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(error, http.client.HTTPException):
        return "what listens there does not speak HTTP"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
