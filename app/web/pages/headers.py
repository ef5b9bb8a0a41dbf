"""What a browser is told of every page: nothing from elsewhere is loaded, run, framed or kept."""

from __future__ import annotations

from typing import Final

# Not `no-referrer`: with that a browser says of our own forms that they come from nowhere, and they are refused.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
