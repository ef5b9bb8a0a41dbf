"""Plain text answers that every firmware can read: one piece, with its length."""

from __future__ import annotations

from flask import Response


def text(body: str, status: int = 200, *, content_type: str = "text/plain; charset=utf-8") -> Response:
    """A text with a Content-Length. Nothing on the way may keep it: the next boot may be told something else."""
    response = Response(body.encode(), status)
    response.headers["Content-Type"] = content_type
    response.headers["Cache-Control"] = "no-store"
    return response
