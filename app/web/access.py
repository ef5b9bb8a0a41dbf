"""Who may ask for what: boots and probes are open to all, everything else needs the token or the machine itself.

With `--api-token` a request shows it as `Authorization: Bearer TOKEN`; a browser shows the session that it got for it
at `/login`, which counts for the pages alone. Without one only loopback is served, and then a browser on this very
machine is held off too: a page from elsewhere must neither read answers (by a host name that it lets point here) nor
send orders.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from app.front.peer import address_of
from app.web.sparing import SparingLog

_OPEN_PATHS = frozenset({"/config", "/healthz", "/readyz"})
_OPEN_PREFIXES = ("/ipxe/", "/tftp/", "/assets/", "/static/")
_FLEET, _MACHINES, LOGIN, LOGOUT = "/", "/machines/", "/login", "/logout"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A request that carries one of these came through a proxy, and whoever sent it is somewhere behind.
_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Real-Ip")


def client_address(request: Request) -> str | None:
    """The address of the client as the public port saw it; None where it is not known."""
    return address_of(request.environ.get("REMOTE_ADDR", ""))


def is_open(path: str) -> bool:
    """Whether a path is served to everyone."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES)


class LoginNeeded(Exception):
    """A page was asked for, or a form was sent, by whoever is not logged in or not any more."""


def is_page(path: str) -> bool:
    """Whether a path is one of the pages for people."""
    return path in (LOGIN, LOGOUT) or is_view(path)


def is_view(path: str) -> bool:
    """Whether a path shows machines, so that a login may lead to it."""
    return path == _FLEET or path.startswith(_MACHINES)


def check(request: Request, token: str, logged_in: Callable[[], bool], log: SparingLog) -> None:
    """Let the request pass or raise Unauthorized, Forbidden or LoginNeeded. logged_in: whether it shows a session."""
    if is_open(request.path):
        return
    if not token:
        _check_loopback(request, log)
    elif request.path != LOGIN and not (is_page(request.path) and logged_in()):
        _check_token(request, token, log)
    if is_page(request.path) and request.method not in _SAFE_METHODS:
        _check_origin(request)


def same_token(shown: str, token: str) -> bool:
    """Whether this is the token, found out in a time that does not tell how much of it is right."""
    return hmac.compare_digest(shown.encode(), token.encode())


def _check_token(request: Request, token: str, log: SparingLog) -> None:
    shown = request.authorization
    if shown and shown.type == "bearer" and same_token(shown.token or "", token):
        return
    if shown is None and is_page(request.path):
        raise LoginNeeded
    log.warning("api_token_refused", path=request.path, address=client_address(request), shown=shown is not None)
    raise Unauthorized("show the token: Authorization: Bearer TOKEN", www_authenticate=WWWAuthenticate("bearer"))


def _check_loopback(request: Request, log: SparingLog) -> None:
    address = client_address(request)
    if not _is_loopback(address) or any(header in request.headers for header in _PROXY_HEADERS):
        log.warning("api_refused_without_token", path=request.path, address=address)
        raise Forbidden("only served to this machine itself; start with --api-token to open it to others")
    # As it was sent: `request.host` is empty where the name is no proper one, such as one with an underscore.
    host = request.headers.get("Host", "")
    if not _is_local_host(host):
        raise Forbidden("without --api-token only served under the name localhost or a loopback address")
    if request.method not in _SAFE_METHODS and not _from_here(request, host):
        raise Forbidden("a page from elsewhere may not do this")


def _check_origin(request: Request) -> None:
    """A page from elsewhere must not send a form here, whatever the browser shows for its user."""
    if not _from_here(request, request.headers.get("Host", "")):
        raise Forbidden("a page from elsewhere may not do this")


def _is_loopback(address: str | None) -> bool:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def _is_local_host(host: str) -> bool:
    """Whether the name by which we were asked is this machine's own. Programs without a Host header are no browser."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return not name or name == "localhost" or _is_loopback(name)


def _from_here(request: Request, host: str) -> bool:
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    return site in ("none", "same-origin") and origin in (None, f"http://{host}", f"https://{host}")
